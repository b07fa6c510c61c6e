//! Kills a process at the very system call that a test asks for: every step that a crash could hit, without a word about
//! it in the service.
#![cfg(target_os = "linux")]

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

/// What changes a file, a directory, the database or the client's view: bytes to a socket or a file, and names.
const CHANGES: [libc::c_long; 11] = [
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_fallocate,
    libc::SYS_ftruncate,
    libc::SYS_fdatasync,
    libc::SYS_fsync,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat2,
];

/// A process that will be killed.
pub(crate) struct Doomed {
    process: Pid,
    is_spared: Arc<AtomicBool>,
    watching: JoinHandle<Option<libc::c_long>>,
}

impl Doomed {
    /// From now on counts the changes of this process, and kills it when the one of this number begins.
    pub(crate) fn at_change(process: Pid, number: u64) -> Self {
        let (ready, attached) = mpsc::channel();
        let is_spared = Arc::new(AtomicBool::new(false));
        let asks = is_spared.clone();
        // Whoever traces is a thread, and its end sets the process free.
        let watching = std::thread::spawn(move || {
            seize_threads(process);
            ready.send(()).unwrap();
            watch(process, number, &asks)
        });
        attached.recv().unwrap();
        Self { process, is_spared, watching }
    }

    /// The system call at which it was killed.
    pub(crate) fn killed_at(self) -> libc::c_long {
        self.watching.join().unwrap().expect("it was killed by us")
    }

    /// Lets it live: it was done before its change came. `false` when the change came after the answer, and killed it.
    pub(crate) fn spare(self) -> bool {
        self.is_spared.store(true, Ordering::SeqCst);
        // Means nothing to the process and stops it for its tracer.
        kill(self.process, Signal::SIGWINCH).unwrap();
        self.watching.join().unwrap().is_none()
    }
}

fn seize_threads(process: Pid) {
    let options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACECLONE;
    for thread in std::fs::read_dir(format!("/proc/{process}/task")).unwrap() {
        let name = thread.unwrap().file_name();
        let thread = Pid::from_raw(name.to_str().unwrap().parse().unwrap());
        ptrace::seize(thread, options).unwrap();
        ptrace::interrupt(thread).unwrap();
    }
}

/// The change that a stopped thread is about to make; what it says in the log and to its own threads is none.
fn change_that_begins(process: Pid, thread: Pid) -> Option<libc::c_long> {
    let info = ptrace::syscall_info(thread).ok()?;
    if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
        return None;
    }
    let line = std::fs::read_to_string(format!("/proc/{process}/task/{thread}/syscall")).ok()?;
    let mut words = line.split(' ');
    let call = words.next()?.parse().ok().filter(|call| CHANGES.contains(call))?;
    let descriptor = u64::from_str_radix(words.next()?.trim_start_matches("0x"), 16).ok()?;
    let target = std::fs::read_link(format!("/proc/{process}/fd/{descriptor}")).unwrap_or_default();
    let is_own = target.to_str()?.starts_with("anon_inode:")
        || target.extension().is_some_and(|extension| extension == "log");
    (!is_own).then_some(call)
}

fn watch(process: Pid, number: u64, is_spared: &AtomicBool) -> Option<libc::c_long> {
    let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
    let mut begun = 0;
    loop {
        let (thread, signal) = match waitpid(None, Some(flags)) {
            Ok(WaitStatus::PtraceSyscall(thread)) => {
                if let Some(call) = change_that_begins(process, thread) {
                    begun += 1;
                    if begun == number {
                        kill(process, Signal::SIGKILL).unwrap();
                        return Some(call);
                    }
                }
                (thread, None)
            }
            Ok(WaitStatus::Stopped(thread, signal)) => (thread, Some(signal)),
            Ok(WaitStatus::PtraceEvent(thread, ..)) => (thread, None),
            Ok(WaitStatus::Exited(ended, _) | WaitStatus::Signaled(ended, ..)) if ended != process => {
                continue;
            }
            Ok(_) | Err(Errno::ECHILD) => return None,
            Err(error) => panic!("{error}"),
        };
        if is_spared.load(Ordering::SeqCst) {
            ptrace::detach(thread, None).unwrap();
            return None;
        }
        // It may have been killed from elsewhere.
        let _gone = ptrace::syscall(thread, signal);
    }
}
