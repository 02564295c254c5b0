//! Why a GPU of this machine is no adapter: what of its Vulkan driver is missing. Only Linux has several places for the parts of a
//! driver; elsewhere nothing is looked for.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Makers of GPUs by their PCI number.
const MAKERS: [(u32, &str); 3] = [(NVIDIA, "NVIDIA"), (0x1002, "AMD"), (0x8086, "Intel")];
const NVIDIA: u32 = 0x10de;

/// The folders of shared libraries, of all distributions.
pub const LIBRARIES: [&str; 9] = [
    "usr/lib",
    "usr/lib64",
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/aarch64-linux-gnu",
    "usr/lib/wsl/lib",
    "usr/local/lib",
    "usr/local/nvidia/lib64",
    "usr/lib/nvidia",
    "run/opengl-driver/lib",
];
/// The folders of the files that name Vulkan drivers.
const MANIFESTS: [&str; 4] = [
    "usr/share/vulkan/icd.d",
    "etc/vulkan/icd.d",
    "usr/local/share/vulkan/icd.d",
    "run/opengl-driver/share/vulkan/icd.d",
];

/// What this machine has: its files below `root`, and variables of the environment.
pub struct Machine<'a> {
    /// The root of the file system.
    pub root: &'a Path,
    /// The value of a variable.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
}

/// One sentence for each maker whose GPU is there, but not among the adapters of `vendors`.
pub fn missing(machine: &Machine, vendors: &[u32]) -> Vec<String> {
    let gpus = machine.makers();
    let absent = MAKERS.iter().filter(|(number, _)| gpus.contains(number) && !vendors.contains(number));
    absent
        .map(|&(number, maker)| {
            let reason = if number == NVIDIA { machine.nvidia() } else { machine.mesa(maker) };
            format!(
                "A GPU of {maker} is there, but its Vulkan driver is not: {}.",
                reason.unwrap_or_else(|| machine.hidden())
            )
        })
        .collect()
}

/// The hexadecimal number in a file of the kernel.
pub fn number(path: &Path) -> Option<u32> {
    let text = std::fs::read_to_string(path).ok()?;
    u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()
}

impl Machine<'_> {
    fn has(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    /// The names of the files in a folder; none if it cannot be read.
    fn names(&self, folder: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.root.join(folder)).into_iter().flatten();
        entries.flatten().map(|entry| entry.path()).collect()
    }

    /// The GPUs on the PCI bus: the folders of display controllers, and of accelerators without a display.
    pub fn gpus(&self) -> Vec<PathBuf> {
        let mut devices = self.names("sys/bus/pci/devices");
        devices.retain(|device| number(&device.join("class")).is_some_and(|class| matches!(class >> 16, 0x03 | 0x12)));
        devices.sort();
        devices
    }

    /// The makers of the GPUs on the PCI bus, and of those whose driver a container sees.
    fn makers(&self) -> BTreeSet<u32> {
        let mut makers: BTreeSet<u32> =
            self.gpus().iter().filter_map(|device| number(&device.join("vendor"))).collect();
        if self.has("dev/nvidiactl") || self.has("proc/driver/nvidia/version") {
            makers.insert(NVIDIA);
        }
        makers
    }

    /// Whether a library whose name begins so is in one of the usual folders.
    fn library(&self, begins: &str) -> bool {
        let named = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(begins));
        LIBRARIES.iter().any(|folder| self.names(folder).iter().any(named))
    }

    /// The text of the first file that names a Vulkan driver and has `part` in its own name.
    fn manifest(&self, part: &str) -> Option<(PathBuf, String)> {
        let files = MANIFESTS.iter().flat_map(|folder| self.names(folder));
        let mut files = files.filter(|path| {
            path.extension() == Some(OsStr::new("json"))
                && path.file_name().is_some_and(|name| name.to_string_lossy().contains(part))
        });
        files.find_map(|path| std::fs::read_to_string(&path).ok().map(|text| (path, text)))
    }

    fn nvidia(&self) -> Option<String> {
        let capabilities = || match (self.variable)("NVIDIA_DRIVER_CAPABILITIES") {
            Some(value) => format!("NVIDIA_DRIVER_CAPABILITIES is '{value}', and `all` is needed"),
            None => "in a container, NVIDIA_DRIVER_CAPABILITIES=all is needed".into(),
        };
        if !self.has("proc/driver/nvidia/version") {
            return Some("the kernel module `nvidia` is not loaded; install NVIDIA's driver".into());
        }
        if !self.has("dev/nvidiactl") {
            return Some("there is no /dev/nvidiactl; start the container with `--gpus all --runtime=nvidia`".into());
        }
        if !self.library("libEGL_nvidia.so") && !self.library("libGLX_nvidia.so") {
            return Some(format!("the library libEGL_nvidia.so.0 was not found; {}", capabilities()));
        }
        if !self.library("libnvidia-glvkspirv.so") {
            return Some(format!("the library libnvidia-glvkspirv.so was not found; {}", capabilities()));
        }
        let Some((path, text)) = self.manifest("nvidia") else {
            return Some(
                "no file in /usr/share/vulkan/icd.d names it; write nvidia_icd.json there: \
                 {\"file_format_version\": \"1.0.0\", \"ICD\": {\"library_path\": \"libEGL_nvidia.so.0\", \"api_version\": \"1.3\"}}"
                    .into(),
            );
        };
        (text.contains("libGLX_nvidia") && !self.library("libXext.so")).then(|| {
            format!(
                "{} names libGLX_nvidia.so.0, which needs the libraries of X; name libEGL_nvidia.so.0 there, or install libxext6",
                path.display()
            )
        })
    }

    /// Mesa's drivers for AMD and Intel.
    fn mesa(&self, maker: &str) -> Option<String> {
        let nodes = self.names("dev/dri");
        let is_render =
            |path: &&PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("renderD"));
        let renders: Vec<&PathBuf> = nodes.iter().filter(is_render).collect();
        let Some(first) = renders.first() else {
            return Some(
                "there is no /dev/dri/renderD128; in a container, `--device /dev/dri` is needed, else the kernel's driver for the GPU"
                    .into(),
            );
        };
        let opens = |path: &&PathBuf| std::fs::OpenOptions::new().read(true).write(true).open(path).is_ok();
        if !renders.iter().any(opens) {
            return Some(format!("{} may not be opened; add yourself to the group `render`", first.display()));
        }
        let part = if maker == "AMD" { "radeon" } else { "intel" };
        let none = self.manifest(part).is_none();
        none.then(|| {
            format!("no file *{part}*.json is in /usr/share/vulkan/icd.d; install the package mesa-vulkan-drivers")
        })
    }

    /// All parts are there.
    fn hidden(&self) -> String {
        let set = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "VK_LOADER_DRIVERS_DISABLE"];
        match set.iter().find_map(|name| (self.variable)(name).map(|value| format!("{name} is '{value}'"))) {
            Some(variable) => format!("{variable}, which may exclude it"),
            None => "its parts seem to be there; `vulkaninfo` says more".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine with these files, and what is said of its drivers. The text of a file is after its first `=`.
    fn said(files: &[&str], variables: &[(&str, &str)], vendors: &[u32]) -> Vec<String> {
        let root = tempfile::tempdir().expect("a folder");
        for file in files {
            let (path, text) = file.split_once('=').unwrap_or((file, ""));
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        let variable =
            |name: &str| variables.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned());
        missing(&Machine { root: root.path(), variable: &variable }, vendors)
    }

    const CARD: [&str; 2] = ["sys/bus/pci/devices/0/class=0x030200\n", "sys/bus/pci/devices/0/vendor=0x10de\n"];
    const DRIVER: [&str; 2] = ["proc/driver/nvidia/version", "dev/nvidiactl"];
    const SOFTWARE: u32 = 0x10005;

    #[test]
    fn each_missing_part_of_nvidias_driver_is_named() {
        assert!(said(&[], &[], &[SOFTWARE]).is_empty());
        // A network card is no GPU.
        let network = ["sys/bus/pci/devices/1/class=0x020000", "sys/bus/pci/devices/1/vendor=0x8086"];
        assert!(said(&network, &[], &[]).is_empty());
        assert!(said(&CARD, &[], &[SOFTWARE, NVIDIA]).is_empty());
        let names = |files: &[&str], variables: &[(&str, &str)], part: &str| {
            let said = said(files, variables, &[SOFTWARE]);
            assert!(
                said.len() == 1 && said[0].starts_with("A GPU of NVIDIA") && said[0].contains(part),
                "{part}: {said:?}"
            );
        };
        let mut files: Vec<&str> = CARD.to_vec();
        names(&files, &[], "kernel module");
        files.push(DRIVER[0]);
        names(&files, &[], "--gpus all");
        files.push(DRIVER[1]);
        names(&files, &[], "libEGL_nvidia.so.0 was not found; in a container");
        names(
            &files,
            &[("NVIDIA_DRIVER_CAPABILITIES", "compute,utility")],
            "is 'compute,utility', and `all` is needed",
        );
        files.push("usr/lib/x86_64-linux-gnu/libGLX_nvidia.so.0");
        names(&files, &[], "libnvidia-glvkspirv.so was not found");
        files.push("usr/lib/x86_64-linux-gnu/libnvidia-glvkspirv.so.580.1");
        names(&files, &[], "write nvidia_icd.json there");
        files.push("usr/share/vulkan/icd.d/nvidia_icd.json={\"library_path\": \"libGLX_nvidia.so.0\"}");
        names(&files, &[], "name libEGL_nvidia.so.0 there");
        files.push("usr/lib/x86_64-linux-gnu/libXext.so.6");
        names(&files, &[("VK_DRIVER_FILES", "lvp.json")], "VK_DRIVER_FILES is 'lvp.json'");
        names(&files, &[], "vulkaninfo");
        // A container sees the driver, but not always the bus.
        names(&DRIVER, &[], "libEGL_nvidia.so.0");
    }

    #[test]
    fn each_missing_part_of_mesas_drivers_is_named() {
        let names = |files: &[&str], part: &str| {
            let said = said(files, &[], &[]);
            assert!(
                said.len() == 1 && said[0].starts_with("A GPU of AMD") && said[0].contains(part),
                "{part}: {said:?}"
            );
        };
        let mut files = vec!["sys/bus/pci/devices/0/class=0x120000", "sys/bus/pci/devices/0/vendor=0x1002"];
        names(&files, "--device /dev/dri");
        files.push("dev/dri/renderD128");
        names(&files, "mesa-vulkan-drivers");
        files.push("usr/share/vulkan/icd.d/radeon_icd.x86_64.json={}");
        names(&files, "vulkaninfo");
    }
}
