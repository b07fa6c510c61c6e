//! Starts a program that sees one open file, the programs and libraries of the machine, and nothing else.
//! Invariant: no network, no other file, nothing written to disk; processor time and memory are bounded.
//! The rights are given up by a thread that lives for the start only, because they are a thread's and its children's.

use std::fs::File;
use std::io::{Error, Result};
use std::process::{Command, Stdio};
use std::sync::Once;

use landlock::{
    ABI, Access, AccessFs, AccessNet, PathBeneath, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
    path_beneath_rules,
};
use nix::libc;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};
use tokio::process::Child;
use tokio::sync::oneshot;

use crate::media::limits::MediaLimits;

/// Where programs, libraries and the linker's settings lie.
const READABLE: [&str; 7] =
    ["/usr", "/bin", "/lib", "/lib64", "/opt", "/etc/ld.so.cache", "/etc/ld.so.preload"];

/// Files that a decoder may hold open: its libraries close theirs, so few are left.
const MAX_OPEN_FILES: u64 = 64;

/// Starts `command` with `input` as its standard input, or a pipe, and pipes for the rest.
/// It dies when the child is dropped.
pub(super) async fn start(command: Command, input: Option<&File>, limits: &MediaLimits) -> Result<Child> {
    let input = input.map(File::try_clone).transpose()?;
    let (limits, runtime) = (limits.clone(), tokio::runtime::Handle::current());
    let (sender, receiver) = oneshot::channel();
    std::thread::Builder::new().name("sandbox".to_owned()).spawn(move || {
        let _runtime = runtime.enter();
        // Nobody waits any more if the caller ran out of time; the child dies with the message.
        let _ =
            sender.send(confine_thread(input.as_ref()).and_then(|()| start_here(&command, input, &limits)));
    })?;
    receiver.await.unwrap_or_else(|_| Err(Error::other("the starting thread ended")))
}

/// A shell sets the limits on itself and becomes the program, so that it never runs without them.
#[expect(clippy::disallowed_methods, reason = "this room starts the programs")]
fn start_here(command: &Command, input: Option<File>, limits: &MediaLimits) -> Result<Child> {
    let (kibibytes, seconds) = (limits.ffmpeg_address_space / 1024, limits.ffmpeg_cpu.as_secs().max(1));
    let script = format!(
        "ulimit -v {kibibytes} && ulimit -t {seconds} && ulimit -f 0 && ulimit -n {MAX_OPEN_FILES} && ulimit -c 0 \
         && exec \"$0\" \"$@\""
    );
    let mut confined = tokio::process::Command::new("/bin/sh");
    confined.args(["-c", &script]).arg(command.get_program()).args(command.get_args());
    // Nothing of this service's settings is the program's business.
    confined.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
    confined.stdin(input.map_or_else(Stdio::piped, Stdio::from));
    confined.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn()
}

/// Takes from this thread, and from what it starts, every file but `input` and all of the network.
fn confine_thread(input: Option<&File>) -> Result<()> {
    let status = landlock_thread(input).map_err(Error::other)?;
    static WARNED: Once = Once::new();
    if status == RulesetStatus::NotEnforced {
        WARNED.call_once(|| tracing::warn!("this kernel has no Landlock: ffmpeg could open other files"));
    }
    apply_filter(&without_sockets().map_err(Error::other)?).map_err(Error::other)
}

fn landlock_thread(input: Option<&File>) -> std::result::Result<RulesetStatus, landlock::RulesetError> {
    let abi = ABI::V5;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .create()?
        .add_rules(path_beneath_rules(READABLE, AccessFs::from_read(abi)))?
        .add_rules(
            input.map(|file| Ok::<_, landlock::RulesetError>(PathBeneath::new(file, AccessFs::ReadFile))),
        )?
        .restrict_self()?;
    Ok(status.ruleset)
}

/// Refuses what a decoder never does: sockets, and the calls that reach into other processes or the kernel.
fn without_sockets() -> std::result::Result<BpfProgram, seccompiler::BackendError> {
    const REFUSED: [libc::c_long; 10] = [
        libc::SYS_socket,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_io_uring_setup,
        libc::SYS_keyctl,
        libc::SYS_mount,
    ];
    let rules = REFUSED.into_iter().map(|call| (call, Vec::new())).collect();
    let errno = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, errno, std::env::consts::ARCH.try_into()?)?.try_into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::fixtures::file_of;

    /// What a shell command prints, run as ffmpeg is.
    async fn confined(script: &str, limits: &MediaLimits) -> String {
        #[expect(clippy::disallowed_methods, reason = "a shell stands for a decoder that was taken over")]
        let mut command = Command::new("/bin/bash");
        command.args(["-c", script]);
        let child = start(command, Some(&file_of(b"the one file")), limits).await.unwrap();
        String::from_utf8(child.wait_with_output().await.unwrap().stdout).unwrap()
    }

    #[tokio::test]
    async fn the_one_file_can_be_read_and_no_other() {
        let limits = MediaLimits::default();
        assert_eq!(confined("cat /dev/fd/0", &limits).await, "the one file");
        assert_eq!(confined("cat /etc/passwd || echo refused", &limits).await, "refused\n");
        assert_eq!(confined("ls /tmp / || echo refused", &limits).await, "refused\n");
        assert_eq!(confined("cat /proc/$PPID/environ || echo refused", &limits).await, "refused\n");
    }

    #[tokio::test]
    async fn nothing_can_be_written_and_nobody_called() {
        let limits = MediaLimits::default();
        assert_eq!(confined("(echo x > /tmp/jam-sandbox) || echo refused", &limits).await, "refused\n");
        assert_eq!(confined("(exec 3<>/dev/tcp/127.0.0.1/9) || echo refused", &limits).await, "refused\n");
    }

    #[tokio::test]
    async fn memory_and_processor_time_are_bounded() {
        let limits = MediaLimits { ffmpeg_address_space: 200 << 20, ..MediaLimits::default() };
        // The limits come a moment after the start, long before a decoder has read its first byte.
        let memory = "until [ $(ulimit -v) != unlimited ]; do :; done; (printf -v text %0300000000d 0; echo ${#text}) || echo refused";
        assert_eq!(confined(memory, &limits).await, "refused\n");
        let limits = MediaLimits { ffmpeg_cpu: std::time::Duration::from_secs(1), ..MediaLimits::default() };
        assert_eq!(confined("while :; do :; done; echo done", &limits).await, "");
    }

    #[tokio::test]
    async fn this_process_keeps_its_own_rights() {
        let _ = confined("true", &MediaLimits::default()).await;
        assert!(std::net::TcpListener::bind("127.0.0.1:0").is_ok());
        assert!(tempfile::tempfile().is_ok());
    }
}
