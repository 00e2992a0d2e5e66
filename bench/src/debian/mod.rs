//! A Linux guest for comparison: the kernel that Debian makes for virtual machines, and an initial file system with nothing
//! in it but one program, what that needs, and the drivers of a network device.
//!
//! Packages come by apt-get and stay in `target/bench`, so that a second run loads nothing.

mod cpio;
mod kernel;
mod modules;
mod package;

use crate::error::BenchError;
use crate::place::{Place, output, tool};
use cpio::Archive;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The package that depends on the newest kernel for virtual machines.
const KERNEL: &str = "linux-image-cloud-amd64";
/// Virtio's devices on PCI, and the one for networks.
const DRIVERS: [&str; 2] = ["virtio_pci", "virtio_net"];
/// Folders that the guest finds, besides those of its files.
const FOLDERS: [&str; 6] = ["dev", "proc", "run", "sys", "tmp", "modules"];

/// What QEMU starts.
#[derive(Debug)]
pub struct Guest {
    /// The kernel, unpacked: QEMU enters it by its PVH entry, and the guest spends no time on unpacking.
    pub kernel: PathBuf,
    /// The initial file system, not compressed for the same reason.
    pub initramfs: PathBuf,
}

/// What a guest runs.
#[derive(Debug)]
pub struct Service<'a> {
    /// The program, of this machine, dynamic or not.
    pub program: &'a Path,
    /// Its arguments, without spaces in them.
    pub arguments: &'a [&'a str],
    /// More files: where they are in the guest, and what is in them.
    pub files: &'a [(&'a str, &'a str)],
    /// The guest's address, with the length of its prefix.
    pub address: &'a str,
}

/// Makes a guest that takes its address and then is the program.
pub fn guest(place: &Place, service: &Service<'_>) -> Result<Guest, BenchError> {
    let linux = package::unpacked(&package::dependency(KERNEL)?)?;
    let busybox = package::unpacked("busybox-static")?.join("bin/busybox");
    let packed = only_entry(&linux.join("boot"), "vmlinuz-")?;
    let unpacked = kernel::unpack(&read(&packed)?)
        .map_err(|error| BenchError::failed(format!("unpacking {}", packed.display()), error.to_string()))?;
    let kernel = place.path("vmlinux");
    fs::write(&kernel, unpacked).map_err(BenchError::io(kernel.display()))?;

    let mut archive = Archive::default();
    FOLDERS.iter().for_each(|folder| archive.folder(folder));
    archive.file("bin/busybox", &read(&busybox)?);
    archive.file("bin/service", &read(service.program)?);
    for library in libraries(service.program)? {
        archive.file(&library, &read(Path::new(&library))?);
    }
    let mut names = vec![];
    for module in modules::with_dependencies(&only_entry(&linux.join("lib/modules"), "")?, &DRIVERS)? {
        let name = format!("modules/{}", names.len());
        archive.file(&name, &read(&module)?);
        names.push(name);
    }
    for (path, contents) in service.files {
        archive.file(path, contents.as_bytes());
    }
    archive.file("init", init(&names, service).as_bytes());
    let initramfs = place.path("initramfs");
    fs::write(&initramfs, archive.finish()).map_err(BenchError::io(initramfs.display()))?;
    Ok(Guest { kernel, initramfs })
}

/// The script that the kernel starts.
fn init(modules: &[String], service: &Service<'_>) -> String {
    let insert: String = modules.iter().map(|name| format!("$b insmod /{name}\n")).collect();
    format!(
        "#!/bin/busybox sh\n\
         b=/bin/busybox\n\
         $b mount -t proc proc /proc\n\
         $b mount -t sysfs sysfs /sys\n\
         $b mount -t devtmpfs devtmpfs /dev\n\
         {insert}\
         $b ip link set lo up\n\
         $b ip address add {} dev eth0\n\
         $b ip link set eth0 up\n\
         exec /bin/service {}\n",
        service.address,
        service.arguments.join(" ")
    )
}

/// The shared libraries of a program with its interpreter, as the dynamic linker finds them.
fn libraries(program: &Path) -> Result<Vec<String>, BenchError> {
    let text = output("ldd", Command::new(tool("ldd", "libc-bin")?).arg(program))?;
    // "NAME => PATH (ADDRESS)", "PATH (ADDRESS)", and the vDSO, which is no file.
    let path = |line: &str| line.split_whitespace().find(|word| word.starts_with('/')).map(String::from);
    Ok(text.lines().filter_map(path).collect())
}

/// The one entry of a folder whose name begins like this.
fn only_entry(folder: &Path, prefix: &str) -> Result<PathBuf, BenchError> {
    let entries = fs::read_dir(folder).map_err(BenchError::io(folder.display()))?;
    let mut found = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
    match (found.next(), found.next()) {
        (Some(entry), None) => Ok(entry.path()),
        _ => Err(BenchError::failed(folder.display().to_string(), format!("not one entry {prefix}*"))),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, BenchError> {
    fs::read(path).map_err(BenchError::io(path.display()))
}
