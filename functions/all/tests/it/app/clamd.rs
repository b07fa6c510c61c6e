//! ClamAV's daemon with one signature: a test file of our own is a virus.
#![expect(clippy::disallowed_methods, reason = "starts clamd with a configuration of its own")]

use super::eventually;
use jam_core::config::ListenAddress;
use std::path::PathBuf;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// What the signature is of.
pub(crate) const VIRUS: &[u8] = b"this text stands for a virus";
/// Longer streams are refused.
pub(crate) const MAX_BYTES: usize = 1024 * 1024;

/// A daemon of this test alone; ends with it.
pub(crate) struct Clamd {
    directory: TempDir,
    _child: Child,
}

impl Clamd {
    pub(crate) async fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let path = |name: &str| directory.path().join(name);
        let signature = format!("{}:{}:Test.Virus\n", md5(VIRUS).await, VIRUS.len());
        std::fs::write(path("test.hdb"), signature).unwrap();
        let lines = [
            format!("LocalSocket {}", path("socket").display()),
            format!("DatabaseDirectory {}", directory.path().display()),
            format!("StreamMaxLength {MAX_BYTES}"),
            "Foreground yes".to_owned(),
        ];
        std::fs::write(path("clamd.conf"), lines.join("\n")).unwrap();
        let child = Command::new("clamd")
            .arg(format!("--config-file={}", path("clamd.conf").display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("clamd is installed (local-dev/install checks)");
        let clamd = Self { directory, _child: child };
        eventually("clamd listens", async || {
            tokio::net::UnixStream::connect(clamd.socket()).await.ok().map(drop)
        })
        .await;
        clamd
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    pub(crate) fn address(&self) -> ListenAddress {
        ListenAddress::Unix(self.socket())
    }
}

async fn md5(content: &[u8]) -> String {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("content");
    std::fs::write(&path, content).unwrap();
    let output = Command::new("md5sum").arg(path).output().await.unwrap();
    String::from_utf8(output.stdout).unwrap().split_whitespace().next().unwrap().to_owned()
}
