"""The exceptions of gpunn. Each says what was asked, what was found and what to do, as the program does."""


class Error(Exception):
    """The base of all."""


class UsageError(Error, ValueError):
    """What was asked for does not exist or is not valid: a name, a number, a path, an array."""


class ShapeError(Error, ValueError):
    """Shapes do not fit each other."""


class DataError(Error, ValueError):
    """The content of a file is not valid."""


class DivergedError(Error, ArithmeticError):
    """The loss or a weight is no longer a finite number."""


class DeviceError(Error, RuntimeError):
    """The device cannot do what was asked, or was lost."""


class DeviceMemoryError(Error, MemoryError):
    """A network does not fit the memory of the device. A smaller batch may fit."""


class NetworkError(Error, ConnectionError):
    """A network address could not be reached, or did not return what was asked for."""


class FileError(Error, OSError):
    """The operating system refused a file."""
