//! Starts a program that sees the files it is given, the programs and libraries of the machine, and nothing else.
//! Invariant: no network, no other file, nothing written but the one output; processor time, memory and what is written
//! are bounded; no call of the kernel but those that decoders make.
//! A thread of its own gives up the rights, because they belong to a thread and its children. It lives as long as the
//! program, which the kernel kills with it: also when this process ends abruptly.

mod calls;

use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::process::{Command, Stdio};
use std::sync::{Once, mpsc};
use std::time::Duration;

use landlock::{
    ABI, Access, AccessFs, AccessNet, PathBeneath, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
    path_beneath_rules,
};
use seccompiler::apply_filter;
use tokio::process::Child;
use tokio::sync::oneshot;

use crate::limits::MediaLimits;

/// The directories of programs, libraries and the linker's settings.
const READABLE: [&str; 7] =
    ["/usr", "/bin", "/lib", "/lib64", "/opt", "/etc/ld.so.cache", "/etc/ld.so.preload"];

/// Files that a decoder may hold open: its libraries close theirs, so few remain.
const MAX_OPEN_FILES: u64 = 64;

/// What one program may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Of the processor, over all of its threads.
    pub(crate) processor_time: Duration,
    /// In bytes.
    pub(crate) address_space: u64,
    /// Largest output, in bytes; only if it is a file.
    pub(crate) written_bytes: u64,
    /// Its niceness, 0 to 19.
    pub(crate) niceness: u8,
    /// Whether it may run where the kernel cannot keep it from other files.
    pub(crate) may_be_unconfined: bool,
}

impl Bounds {
    /// Of a program that reads a file for a moment and writes none.
    pub(crate) fn reading(limits: &MediaLimits) -> Self {
        Self {
            processor_time: limits.ffmpeg_cpu,
            address_space: limits.ffmpeg_address_space,
            written_bytes: 0,
            niceness: 0,
            may_be_unconfined: limits.may_be_unconfined,
        }
    }
}

/// A confined program. It dies when this is dropped, or with this process.
#[derive(Debug)]
pub(crate) struct Confined {
    pub(crate) child: Child,
    /// Its starter waits until this is dropped.
    _release: mpsc::Sender<()>,
}

/// Starts `command` with `input` as its standard input and `output` as its standard output, or pipes in their place.
pub(crate) async fn start(
    command: Command,
    input: Option<&File>,
    output: Option<&File>,
    bounds: Bounds,
) -> Result<Confined> {
    let input = input.map(File::try_clone).transpose()?;
    let output = output.map(File::try_clone).transpose()?;
    let runtime = tokio::runtime::Handle::current();
    let (sender, receiver) = oneshot::channel();
    let (release, released) = mpsc::channel();
    std::thread::Builder::new().name("sandbox".to_owned()).spawn(move || {
        let _runtime = runtime.enter();
        // The caller may have run out of time; then the child dies with the message.
        let confined = confine_thread(input.as_ref(), output.as_ref(), bounds.may_be_unconfined);
        let _ = sender.send(confined.and_then(|()| start_here(&command, input, output, bounds)));
        // Nothing is ever sent: the other end is dropped.
        let _ = released.recv();
    })?;
    let child = receiver.await.unwrap_or_else(|_| Err(Error::other("the starting thread ended")))?;
    Ok(Confined { child, _release: release })
}

/// Starts `$0`, a script, such that the kernel kills it with the thread that started it; needs util-linux, and a unit that
/// lets it (it sets its capabilities again). It cannot write to /dev/null, which is a file like any other.
const DYING_WITH_ITS_STARTER: &str = r#"
    setpriv=$(command -v setpriv) && "$setpriv" --pdeathsig KILL true && exec "$setpriv" --pdeathsig KILL /bin/sh -c "$0" "$@"
    exec /bin/sh -c "$0" "$@""#;

/// A shell sets the limits on itself and becomes the program, so that it never runs without them.
#[expect(clippy::disallowed_methods, reason = "this module starts the programs")]
fn start_here(command: &Command, input: Option<File>, output: Option<File>, bounds: Bounds) -> Result<Child> {
    let (kibibytes, seconds) = (bounds.address_space / 1024, bounds.processor_time.as_secs().max(1));
    // The unit of POSIX.
    let blocks = bounds.written_bytes.div_ceil(512);
    let nice = match bounds.niceness {
        0 => String::new(),
        niceness => format!("nice -n {niceness} "),
    };
    // A process that was orphaned before this call has another parent now.
    let parent = std::process::id();
    let script = format!(
        "test $PPID = {parent} && ulimit -v {kibibytes} && ulimit -t {seconds} && ulimit -f {blocks} \
         && ulimit -n {MAX_OPEN_FILES} && ulimit -c 0 && exec {nice}\"$0\" \"$@\""
    );
    let mut confined = tokio::process::Command::new("/bin/sh");
    confined
        .args(["-c", DYING_WITH_ITS_STARTER, &script])
        .arg(command.get_program())
        .args(command.get_args());
    // Nothing of this service's settings is the program's business.
    confined.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
    confined.stdin(input.map_or_else(Stdio::piped, Stdio::from));
    confined
        .stdout(output.map_or_else(Stdio::piped, Stdio::from))
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
}

/// Denies this thread, and every program that it starts, all files but these two and the whole network.
fn confine_thread(input: Option<&File>, output: Option<&File>, may_be_unconfined: bool) -> Result<()> {
    let status = landlock_thread(input, output).map_err(Error::other)?;
    static WARNED: Once = Once::new();
    if status == RulesetStatus::NotEnforced {
        if !may_be_unconfined {
            return Err(Error::new(ErrorKind::Unsupported, "the kernel has no Landlock (JAM_SANDBOX)"));
        }
        WARNED.call_once(|| tracing::warn!("this kernel has no Landlock: ffmpeg could open other files"));
    }
    apply_filter(&calls::allowed().map_err(Error::other)?).map_err(Error::other)?;
    // Where both filters answer, the kernel takes the later one's answer: EPERM instead of ENOSYS.
    apply_filter(&calls::refused().map_err(Error::other)?).map_err(Error::other)
}

fn landlock_thread(
    input: Option<&File>,
    output: Option<&File>,
) -> std::result::Result<RulesetStatus, landlock::RulesetError> {
    let abi = ABI::V5;
    let written = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .create()?
        .add_rules(path_beneath_rules(READABLE, AccessFs::from_read(abi)))?
        .add_rules(
            input.map(|file| Ok::<_, landlock::RulesetError>(PathBeneath::new(file, AccessFs::ReadFile))),
        )?
        .add_rules(output.map(|file| Ok::<_, landlock::RulesetError>(PathBeneath::new(file, written))))?
        .restrict_self()?;
    Ok(status.ruleset)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use nix::errno::Errno;
    use nix::sys::stat::Mode;

    use super::*;
    use crate::fixtures::{by_ffmpeg, content, file_of};

    const BOUNDS: Bounds = Bounds {
        processor_time: Duration::from_secs(60),
        address_space: 4 << 30,
        written_bytes: 0,
        niceness: 0,
        may_be_unconfined: false,
    };

    /// What a shell command prints, run as ffmpeg is.
    async fn confined(script: &str, bounds: Bounds) -> String {
        #[expect(clippy::disallowed_methods, reason = "a shell stands for a compromised decoder")]
        let mut command = Command::new("/bin/bash");
        command.args(["-c", script]);
        let confined = start(command, Some(&file_of(b"the one file")), None, bounds).await.unwrap();
        String::from_utf8(confined.child.wait_with_output().await.unwrap().stdout).unwrap()
    }

    #[tokio::test]
    async fn the_one_file_can_be_read_and_no_other() {
        assert_eq!(confined("cat /dev/fd/0", BOUNDS).await, "the one file");
        assert_eq!(confined("cat /etc/passwd || echo refused", BOUNDS).await, "refused\n");
        assert_eq!(confined("ls /tmp / || echo refused", BOUNDS).await, "refused\n");
        assert_eq!(confined("cat /proc/$PPID/environ || echo refused", BOUNDS).await, "refused\n");
    }

    #[tokio::test]
    async fn nothing_can_be_written_and_nobody_called() {
        assert_eq!(confined("(echo x > /tmp/jam-sandbox) || echo refused", BOUNDS).await, "refused\n");
        let (port, calls) = canary_port();
        let call = format!("(exec 3<>/dev/tcp/127.0.0.1/{port}) || echo refused");
        assert_eq!(confined(&call, BOUNDS).await, "refused\n");
        assert_eq!(calls.load(Ordering::SeqCst), 0);
    }

    /// A port that accepts every connection without an answer, and the number of connections.
    fn canary_port() -> (u16, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        std::thread::spawn(move || {
            for caller in listener.incoming() {
                counted.fetch_add(1, Ordering::SeqCst);
                let _ = caller.unwrap().write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
            }
        });
        (port, calls)
    }

    /// As if the named demuxer and protocols did not stop it before.
    #[tokio::test]
    async fn a_playlist_that_ffmpeg_trusts_reaches_neither_a_canary_file_nor_a_canary_port() {
        let folder = tempfile::tempdir().unwrap();
        let canary = folder.path().join("canary.ts");
        let video = by_ffmpeg("a.ts", "-f lavfi -i color=red:size=64x64:rate=5:duration=1 -c:v mpeg2video");
        #[expect(clippy::disallowed_methods, reason = "a test makes its files")]
        std::fs::write(&canary, content(&video)).unwrap();
        let (port, calls) = canary_port();
        let playlist = format!(
            "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{}\n#EXTINF:1,\nhttp://127.0.0.1:{port}/a.ts\n\
             #EXT-X-ENDLIST\n",
            canary.display()
        );
        let trusting = || {
            #[expect(clippy::disallowed_methods, reason = "a compromised ffmpeg")]
            let mut ffmpeg = Command::new("ffmpeg");
            ffmpeg.args(["-nostdin", "-v", "error", "-protocol_whitelist", "file,http,tcp,pipe,data,crypto"]);
            ffmpeg.args(["-allowed_extensions", "ALL", "-f", "hls", "-i", "/dev/fd/0", "-c", "copy"]);
            ffmpeg.args(["-f", "mpegts", "pipe:1"]);
            ffmpeg
        };
        let free = trusting().stdin(file_of(playlist.as_bytes())).output().unwrap();
        let calls_of_the_free = calls.load(Ordering::SeqCst);
        assert!(!free.stdout.is_empty() && calls_of_the_free > 0, "the bait works");
        let confined = start(trusting(), Some(&file_of(playlist.as_bytes())), None, BOUNDS).await.unwrap();
        let ended = confined.child.wait_with_output().await.unwrap();
        assert_eq!((ended.stdout.len(), calls.load(Ordering::SeqCst)), (0, calls_of_the_free));
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(
            said.contains("canary.ts") && said.contains("Operation not permitted"),
            "both were tried: {said}"
        );
    }

    #[tokio::test]
    async fn memory_and_processor_time_are_bounded() {
        let bounds = Bounds { address_space: 200 << 20, ..BOUNDS };
        // The limits come a moment after the start, long before a decoder has read its first byte.
        let memory = "until [ $(ulimit -v) != unlimited ]; do :; done; (printf -v text %0300000000d 0; echo ${#text}) || echo refused";
        assert_eq!(confined(memory, bounds).await, "refused\n");
        let bounds = Bounds { processor_time: Duration::from_secs(1), ..BOUNDS };
        assert_eq!(confined("while :; do :; done; echo done", bounds).await, "");
    }

    #[tokio::test]
    async fn only_its_output_can_be_written_and_no_further_than_allowed() {
        #[expect(clippy::disallowed_methods, reason = "a shell stands for a compromised decoder")]
        let mut command = Command::new("/bin/bash");
        command
            .args(["-c", "echo 1 > /dev/fd/1; (echo x > /tmp/jam-sandbox) || printf %04096d 0 >> /dev/fd/1"]);
        let output = tempfile::tempfile().unwrap();
        let bounds = Bounds { written_bytes: 1024, niceness: 19, ..BOUNDS };
        let confined = start(command, Some(&file_of(b"")), Some(&output), bounds).await.unwrap();
        confined.child.wait_with_output().await.unwrap();
        assert_eq!(output.metadata().unwrap().len(), 1024);
    }

    #[test]
    fn a_call_that_no_decoder_makes_does_not_exist() {
        apply_filter(&calls::allowed().unwrap()).unwrap();
        let links = nix::unistd::symlinkat("a", nix::fcntl::AT_FDCWD, "/tmp/jam-sandbox");
        assert_eq!(links, Err(Errno::ENOSYS));
        assert_eq!(nix::unistd::mkfifo("/tmp/jam-sandbox", Mode::S_IRWXU), Err(Errno::ENOSYS));
        let memory = nix::sys::memfd::memfd_create("jam-sandbox", nix::sys::memfd::MFdFlags::empty());
        assert_eq!(memory.unwrap_err(), Errno::ENOSYS);
        // What is listed goes on as before.
        assert_eq!(std::fs::read_dir("/").unwrap().next().map(|entry| entry.is_ok()), Some(true));
    }

    #[tokio::test]
    async fn without_landlock_nothing_is_started_unless_that_was_asked_for() {
        // The answer of a kernel without Landlock; for this thread alone, which the starting thread comes from.
        apply_filter(&calls::without_landlock().unwrap()).unwrap();
        let start = async |may_be_unconfined| {
            #[expect(clippy::disallowed_methods, reason = "a shell stands for a decoder")]
            let mut command = Command::new("/bin/bash");
            command.args(["-c", "echo started"]);
            let bounds = Bounds { may_be_unconfined, ..BOUNDS };
            let started = start(command, Some(&file_of(b"")), None, bounds).await?;
            started.child.wait_with_output().await
        };
        assert_eq!(start(false).await.unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(start(true).await.unwrap().stdout, b"started\n");
    }

    #[tokio::test]
    async fn this_process_keeps_its_own_rights() {
        let _ = confined("true", BOUNDS).await;
        assert!(TcpListener::bind("127.0.0.1:0").is_ok());
        assert!(tempfile::tempfile().is_ok());
    }
}
