"""Random augmentation in PyTorch's and torchvision's words, with the numbers that gpunn draws: Philox, whose counter is (block, row, step,
purpose) and whose key is the seed. Here the seed is 1 and the step 0, as in `kernels-tests/src/described/mod.rs`.
"""

import math

import numpy
import torch
import torch.nn.functional as F
from torchvision.transforms import InterpolationMode, _functional_tensor, autoaugment
from torchvision.transforms import functional as TF
from torchvision.transforms._functional_tensor import _hsv2rgb, _rgb2hsv

AUGMENT, MORE = 3, 8  # purposes
BATCH = 0xFFFFFFFF  # the row of what is drawn for a whole batch
LEVELS, TRIES = 1024, 10  # of areas and of aspect ratios; attempts at a rectangle
GREY = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)  # ITU-R BT.601; torchvision has 0.2989 for red
CHANGES = {"vertical_flip", "perspective", "trivial_augment", "saturation", "hue", "grey", "blur", "erase", "mixup", "cutmix"}

# The weights of ITU-R BT.601 for changes of contrast and saturation, too.
_functional_tensor.rgb_to_grayscale = lambda image, channels=1: (GREY[:, None, None] * image).sum(0, keepdim=True)


def philox(block, row, purpose, step=0, seed=1):
    """Four words (Salmon et al. 2011)."""
    c, key = [block, row, step, purpose], [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ key[0], b & 0xFFFFFFFF, (a >> 32) ^ c[3] ^ key[1], a & 0xFFFFFFFF]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def unit(word):
    return (word >> 8) / 2**24


def perspective(image, amount, row):
    """The corners move inwards; the map between the quadrilateral and the image is solved from its four points."""
    moved = [0.5 * amount * unit(word) for block in (1, 2) for word in philox(block, row, MORE)]
    _, height, width = image.shape
    corners = [(0, 0), (1, 0), (1, 1), (0, 1)]
    equations, right = [], []
    for (to_x, to_y), across, down in zip(corners, moved[::2], moved[1::2]):
        x, y = abs(to_x - across), abs(to_y - down)
        equations += [[x, y, 1, 0, 0, 0, -to_x * x, -to_x * y], [0, 0, 0, x, y, 1, -to_y * x, -to_y * y]]
        right += [to_x, to_y]
    m = torch.tensor(numpy.append(numpy.linalg.solve(equations, right), 1.0)).reshape(3, 3)
    y, x = torch.meshgrid(torch.arange(height, dtype=torch.float64), torch.arange(width, dtype=torch.float64), indexing="ij")
    places = torch.stack([x / (width - 1), y / (height - 1), torch.ones_like(x)], -1) @ m.T
    grid = 2 * places[..., :2] / places[..., 2:] - 1
    return F.grid_sample(image[None], grid[None], mode="bilinear", padding_mode="zeros", align_corners=True)[0]


def trivially(image, row):
    """One change of `TrivialAugmentWide` by torchvision's own functions. Values from 0 to 1; only what is defined for bytes uses bytes."""
    words = philox(14, row, MORE)
    kinds = list(autoaugment.TrivialAugmentWide()._augmentation_space(31))
    kind, level, sign = kinds[words[0] * len(kinds) >> 32], words[1] * 31 >> 32, -1 if words[2] >> 31 else 1
    strength = {
        "TranslateX": 32 * level // 30, "TranslateY": 32 * level // 30, "Rotate": 135 * level / 30, "Posterize": 8 - round(level / 5),
        "Solarize": 255 - 8.5 * level,
    }.get(kind, 0.99 * level / 30)
    image = (255 * image).round() / 255
    if kind in ("Posterize", "Solarize", "Equalize"):
        bytes = (255 * image).round().to(torch.uint8)
        return autoaugment._apply_op(bytes, kind, strength, InterpolationMode.BILINEAR, None).double() / 255
    if kind == "AutoContrast":
        flat = image.amax((1, 2), keepdim=True) == image.amin((1, 2), keepdim=True)
        return torch.where(flat, image, TF.autocontrast(image))
    return autoaugment._apply_op(image, kind, sign * strength, InterpolationMode.BILINEAR, None)


def recoloured(image, numbers, row):
    hue, grey, saturation, _ = map(unit, philox(0, row, MORE))
    mean = (GREY[:, None, None] * image).sum(0, keepdim=True)
    image = mean + (1 + numbers.get("saturation", 0) * (2 * saturation - 1)) * (image - mean)
    if "hue" in numbers:
        # As `adjust_hue`, which would compute in single precision.
        turned = _rgb2hsv(image)
        turned[0] = (turned[0] + numbers["hue"] * (2 * hue - 1)) % 1
        image = _hsv2rgb(turned)
    if grey < numbers.get("grey", 0):
        image = (GREY[:, None, None] * image).sum(0, keepdim=True).expand_as(image)
    return image


def blurred(image, most, row):
    deviation = 0.1 + (most - 0.1) * unit(philox(0, row, MORE)[3])
    return TF.gaussian_blur(image, 2 * math.ceil(3 * most) + 1, deviation)


def rectangle(erase, row, height, width):
    """Areas and aspect ratios are integers from a table, so that every device has the same rectangle."""
    def root(level, low, high):
        return low + (level + 0.5) / LEVELS * (high - low)

    (small, large), (low, high) = erase["scale"], map(math.log, erase["ratio"])
    for block in range(4, 4 + TRIES):
        words = philox(block, row, MORE)
        area = round(256 * math.sqrt(root(words[0] >> 22, small, large) * height * width))
        ratio = math.sqrt(math.exp(root(words[1] >> 22, low, high)))
        high_side, wide_side = ((area * round(1024 * side) + 2**17) >> 18 for side in (1 / ratio, ratio))
        if 0 < high_side < height and 0 < wide_side < width:
            places = [word * (room + 1) >> 32 for word, room in zip(words[2:], (height - high_side, width - wide_side))]
            return *places, high_side, wide_side
    return None


def erased(image, erase, numbers, row):
    found = rectangle(erase, row, *image.shape[1:])
    if found is None or philox(3, row, MORE)[0] >> 8 >= round(erase["chance"] * 2**24):
        return image
    value = torch.zeros(len(image), 1, 1, dtype=image.dtype)
    if erase.get("fill") == "mean":
        value += torch.tensor(numbers["mean"], dtype=image.dtype)[:, None, None]
    return TF.erase(image, *found, value)


def mixed(images, numbers):
    """mixup by a share of the beta distribution, or CutMix, which pastes a rectangle, with the next image."""
    words = [word for block in range(64) for word in philox(block, BATCH, MORE)]
    cuts = "mixup" not in numbers or ("cutmix" in numbers and unit(words[1]) < 0.5)
    alpha = numbers["cutmix" if cuts else "mixup"]
    powers = [(unit(word) + 0.5 / 2**24) ** (1 / alpha) for word in words[4:]]
    x, y = next((x, y) for x, y in zip(powers[::2], powers[1::2]) if x + y <= 1)
    share = x / (x + y)
    if not cuts:
        share = float(numpy.float32(share))  # as the step has it
    others, size = images.roll(-1, 0), images.shape[2:]
    if not cuts:
        return share * images + (1 - share) * others
    sides = [int(0.5 * math.sqrt(1 - share) * side) for side in size]
    middles = [word * side >> 32 for word, side in zip(words[2:], size)]
    (top, bottom), (left, right) = (
        [min(max(at, 0), room) for at in (middle - side, middle + side)] for middle, side, room in zip(middles, sides, size)
    )
    images = images.clone()
    images[:, :, top:bottom, left:right] = others[:, :, top:bottom, left:right]
    return images


def changed(images, numbers):
    """Images [rows, channels, height, width] with values from 0 to 1, in the order of gpunn's changes; then normalised."""
    seen = []
    for row, image in enumerate(images):
        first = philox(0, row, AUGMENT)[0]
        if "perspective" in numbers:
            image = perspective(image, numbers["perspective"], row)
        if numbers.get("vertical_flip") and first >> 30 & 1:
            image = TF.vflip(image)
        if numbers.get("trivial_augment"):
            image = trivially(image, row)
        if numbers.keys() & {"saturation", "hue", "grey"}:
            image = recoloured(image, numbers, row)
        if "blur" in numbers:
            image = blurred(image, numbers["blur"], row)
        if "erase" in numbers:
            image = erased(image, numbers["erase"], numbers, row)
        seen.append(image)
    images = torch.stack(seen)
    if numbers.keys() & {"mixup", "cutmix"}:
        images = mixed(images, numbers)
    return TF.normalize(images, numbers["mean"], numbers["std"]) if "mean" in numbers else images
