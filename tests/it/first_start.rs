//! A data directory belongs to one process before anything is written there: keys are made once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::fixtures::server::{AFFIANT, PASSPHRASE, Place, run};
use affiant::ledger::{LockError, WriterLock};
use affiant::tlog::{SignedCheckpoint, VerifierKey};
use affiant::vfs::OsFileSystem;

const REFUSED: &str = "is in use by another process";

/// A place that was never served and has no key of a log yet.
fn place() -> Place {
    let mut place = Place::new();
    place.set("statements", "enabled = true");
    std::fs::remove_file(place.data().join("authority/log.key.pem")).unwrap();
    place
}

/// All files below a folder, and what is in them; folders are there with nothing.
fn everything(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.insert(entry.path(), Vec::new());
            found.append(&mut everything(&entry.path()));
        } else {
            found.insert(entry.path(), std::fs::read(entry.path()).unwrap());
        }
    }
    found
}

fn command(place: &Place, arguments: &[&str]) -> Output {
    let mut command = Command::new(AFFIANT);
    command.args(arguments).current_dir(place.path()).env("AFFIANT_PASSPHRASE", PASSPHRASE).env("RUST_LOG", "off");
    run(&mut command).unwrap()
}

#[tokio::test]
async fn of_two_first_starts_at_once_one_serves_and_the_other_is_refused() {
    let place = place();
    // Before them, so that neither finds it half-written.
    place.config_file();
    let starts = std::thread::scope(|scope| {
        [0, 1].map(|_| scope.spawn(|| place.try_spawn(&[], None))).map(|start| start.join().unwrap())
    });
    let (serving, refused): (Vec<_>, Vec<_>) = starts.into_iter().partition(Result::is_ok);
    let (Some(Ok(server)), Some(Err(refused))) = (serving.into_iter().next(), refused.into_iter().next()) else {
        panic!("one of them serves");
    };
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains(REFUSED), "{said}");

    // The keys that it signs with are those that are kept.
    let config = place.config_file();
    let printed = command(&place, &["serve", "--print-key", "--config", config.to_str().unwrap()]);
    let printed = String::from_utf8(printed.stdout).unwrap();
    let keys: Vec<VerifierKey> = printed.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(keys.len(), 2);
    for (path, key) in ["/checkpoint", "/statements/checkpoint"].into_iter().zip(&keys) {
        let checkpoint = server.client.get(path, "").await.body;
        assert!(SignedCheckpoint::open(&checkpoint, key).is_ok(), "{path}");
    }
    assert!(server.stop());
}

#[test]
fn whoever_comes_second_writes_nothing() {
    let place = place();
    let config = place.config_file();
    let config = config.to_str().unwrap();
    let held = WriterLock::take(&OsFileSystem, place.data()).unwrap();
    assert!(matches!(WriterLock::take(&OsFileSystem, place.data()), Err(LockError::Held(_))));
    let before = everything(place.path());
    let issuer = place.issuer(0).to_string();
    let init =
        ["certs", "init", "--organisation", "Example Ltd", "--base-url", "http://pki.example", "--root-key", "new"];
    let commands: [&[&str]; 7] = [
        &["serve", "--config", config],
        &["serve", "--print-key", "--config", config],
        &init,
        &["certs", "add-issuer", "Third Calls"],
        &["certs", "rotate", &issuer],
        &["token", "create", "--role", "admin"],
        &["token", "list"],
    ];
    for arguments in commands {
        let refused = command(&place, arguments);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains(REFUSED), "{arguments:?}: {said}");
        assert!(everything(place.path()) == before, "{arguments:?}");
    }
    drop(held);
    // Once made, keys are read beside whoever has the directory.
    let print = ["serve", "--print-key", "--config", config];
    let made = command(&place, &print).stdout;
    let _held = WriterLock::take(&OsFileSystem, place.data()).unwrap();
    assert_eq!(String::from_utf8(command(&place, &print).stdout).unwrap(), String::from_utf8(made).unwrap());
    assert!(command(&place, &["token", "list", "--data", "nowhere"]).status.code() != Some(0));
    assert!(!place.path().join("nowhere").exists());
}
