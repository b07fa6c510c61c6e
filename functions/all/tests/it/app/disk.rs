//! A disk of a test's own, mounted where its volume is: a small one, or one whose power can be cut; and one that fails.
//! Needs root and, for a real filesystem, loop devices; where they are missing a test is skipped, and says so.
#![expect(clippy::disallowed_methods, reason = "mounts what the service finds mounted")]
#![expect(clippy::disallowed_macros, reason = "says that a test is skipped")]

use nix::sys::signal::{Signal, kill};
use nix::sys::statvfs::statvfs;
use nix::unistd::{Pid, geteuid};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What is mounted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// In memory, so many MiB large.
    Memory(u32),
    /// ext4 in a file. Nothing reaches the file unless it is forced out: the journal commits every ten minutes only.
    Ext4,
}

/// A mounted disk.
pub(crate) struct Disk {
    mount: PathBuf,
    cuts: u32,
    image: Option<PathBuf>,
}

impl Disk {
    /// Mounts an empty disk on a new directory, with its file beside it.
    pub(crate) fn mount(kind: Kind, mount: &Path) -> Option<Self> {
        if !geteuid().is_root() || !Path::new("/dev/loop-control").exists() {
            eprintln!("SKIPPED: mounting a disk needs root and loop devices.");
            return None;
        }
        std::fs::DirBuilder::new().create(mount).unwrap();
        let mut disk = Self { mount: mount.to_owned(), cuts: 0, image: None };
        match kind {
            Kind::Memory(mebibytes) => {
                let size = format!("size={mebibytes}m,mode=700");
                run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(mount));
            }
            Kind::Ext4 => {
                let image = mount.with_extension("ext4");
                std::fs::File::create(&image).unwrap().set_len(256 << 20).unwrap();
                run(Command::new("mkfs.ext4").args(["-q", "-E", "lazy_itable_init=0"]).arg(&image));
                disk.mount_image(image);
                std::fs::remove_dir(mount.join("lost+found")).unwrap();
                run(Command::new("sync").arg("--file-system").arg(mount));
            }
        }
        Some(disk)
    }

    /// What is on the disk now is what a power cut would leave: the bytes of files and directories that the kernel
    /// holds back are lost. Whoever uses the disk must have ended by the time of [`Cut::remount`].
    pub(crate) fn cut_power(&mut self) -> Cut<'_> {
        let image = self.image.as_ref().expect("a disk in memory has no power");
        // The kernel may still hold the one before.
        self.cuts += 1;
        let left = image.with_extension(format!("cut-{}", self.cuts));
        std::fs::copy(image, &left).unwrap();
        Cut { disk: self, left }
    }

    /// Bytes that are free.
    pub(crate) fn free_bytes(&self) -> u64 {
        let found = statvfs(&self.mount).unwrap();
        found.blocks_available() * found.fragment_size()
    }

    fn mount_image(&mut self, image: PathBuf) {
        run(Command::new("mount").args(["-o", "loop,commit=600"]).arg(&image).arg(&self.mount));
        self.image = Some(image);
    }
}

/// What is left of a disk.
#[must_use]
pub(crate) struct Cut<'a> {
    disk: &'a mut Disk,
    left: PathBuf,
}

impl Cut<'_> {
    /// Mounts it in the disk's place, with the recovery of its journal.
    pub(crate) fn remount(self) {
        run(Command::new("umount").arg("--lazy").arg(&self.disk.mount));
        self.disk.mount_image(self.left);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A failure here must not hide the test's own.
        let _unmounted = Command::new("umount").arg("--lazy").arg(&self.mount).status();
    }
}

/// A process whose every sync fails as if the disk did.
pub(crate) struct Failing {
    strace: Child,
}

impl Failing {
    /// From now on, until [`Failing::end`].
    pub(crate) fn syncs_of(process: Pid) -> Option<Self> {
        let strace = Command::new("strace")
            .args(["--follow-forks", "--output=/dev/null", "--trace=fsync,fdatasync"])
            .args(["--inject=fsync,fdatasync:error=EIO", "--attach", &process.to_string()])
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut strace) = strace else {
            eprintln!("SKIPPED: strace makes a disk fail, and is not here.");
            return None;
        };
        let mut said = String::new();
        BufReader::new(strace.stderr.take().unwrap()).read_line(&mut said).unwrap();
        assert!(said.contains("attached"), "{said}");
        let failing = Self { strace };
        if has_untraced_threads(process) {
            failing.end();
            return Self::syncs_of(process);
        }
        Some(failing)
    }

    /// The disk is well again.
    pub(crate) fn end(mut self) {
        kill(Pid::from_raw(i32::try_from(self.strace.id()).unwrap()), Signal::SIGTERM).unwrap();
        self.strace.wait().unwrap();
    }
}

/// Whether a thread began while strace attached to the others.
fn has_untraced_threads(process: Pid) -> bool {
    std::fs::read_dir(format!("/proc/{process}/task")).unwrap().any(|thread| {
        let status = std::fs::read_to_string(thread.unwrap().path().join("status"));
        status.is_ok_and(|status| status.contains("TracerPid:\t0\n"))
    })
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
