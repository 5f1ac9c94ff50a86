//! Backups as an operator makes, checks and restores them: beside a busy server, killed half-way, damaged, older than what a
//! witness saw.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use affiant::access::Role;
use affiant::authority::read_key_file;
use affiant::backup::{BackupPart, BackupSigner, BackupSource, Target, create};
use affiant::tlog::LeafIndex;
use chrono::{TimeDelta, Utc};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::fixtures::bucket::Bucket;
use crate::fixtures::server::{AFFIANT, PASSPHRASE, PATIENCE, Place, WitnessPlace, call, copy_folder, run};

/// A place, and the folders beside its data that backups go to.
struct Backups {
    place: Place,
    token: String,
}

impl Backups {
    fn new() -> Self {
        let place = Place::new();
        let token = place.issuer_token(0);
        Self { place, token }
    }

    /// With so many records, and a server that has stopped.
    async fn with_records(count: u64) -> Self {
        let backups = Self::new();
        backups.issue(0..count).await;
        backups
    }

    async fn issue(&self, calls: std::ops::Range<u64>) {
        let server = self.place.serve().await;
        for n in calls {
            server.client.issue(&self.token, call(n)).await;
        }
        server.stop().await;
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(AFFIANT);
        command.current_dir(self.place.path()).env("AFFIANT_PASSPHRASE", PASSPHRASE).env("RUST_LOG", "off");
        command
    }

    fn affiant(&self, arguments: &[&str]) -> Output {
        run(self.command().args(arguments)).unwrap()
    }

    /// Backs up into `backup` and `keys`.
    fn back_up(&self) -> Value {
        let config = self.place.config_file();
        let config = config.to_str().unwrap();
        let made = self.affiant(&["backup", "backup", "--config", config, "--with-keys", "keys", "--json"]);
        assert!(made.status.success(), "{}", said(&made));
        serde_json::from_slice(&made.stdout).unwrap()
    }

    fn check(&self, arguments: &[&str]) -> Output {
        let key = self.place.log_key().to_string();
        self.affiant(&[&["backup", "check", "backup", "--log-key", &key], arguments].concat())
    }

    fn restore(&self, to: &str, arguments: &[&str]) -> Output {
        let key = self.place.log_key().to_string();
        let restore = ["restore", "backup", to, "--keys", "keys", "--log-key", &key, "--verify"];
        self.affiant(&[&restore, arguments].concat())
    }

    /// Puts what is in the folder `name` in the place of the data.
    fn take(&mut self, name: &str) {
        let from = self.path(name);
        std::fs::remove_dir_all(self.place.data()).unwrap();
        copy_folder(&from, self.place.data());
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// The files of a target.
fn files_of(target: &Path) -> BTreeSet<PathBuf> {
    let pieces = std::fs::read_dir(target.join("pieces")).unwrap().map(|entry| entry.unwrap().path());
    pieces.chain([target.join("manifest")]).collect()
}

fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_backup_that_is_too_old_or_of_tomorrow_is_told_by_its_exit_code() {
    let backups = Backups::with_records(2).await;
    let (data, none) = (backups.place.data(), Path::new(""));
    let key_file = data.join("authority/log.key.pem");
    let signer = read_key_file(&key_file, &Zeroizing::new(PASSPHRASE.to_owned())).unwrap();
    let signer = BackupSigner { key: backups.place.log_key(), signer: &signer };
    let source = BackupSource::new(data, &data.join("master.key"), None, none).unwrap();
    let target = Target::make(backups.path("backup").to_str().unwrap(), data).unwrap();
    for (hours_ago, max_age, expected) in [(0, "1", 0), (3, "4", 0), (3, "2", 2), (-3, "2", 2)] {
        let made = Utc::now() - TimeDelta::hours(hours_ago);
        create(&source, BackupPart::Data, &target, &signer, made).unwrap();
        let checked = backups.check(&["--max-age", max_age]);
        assert_eq!(code(&checked), expected, "{hours_ago} {max_age}: {}", said(&checked));
        assert_eq!(said(&checked).contains("TOO OLD"), expected == 2, "{}", said(&checked));
        assert_eq!(code(&backups.check(&[])), 0, "nobody asked for its age");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_beside_a_busy_server_has_every_record_that_was_acknowledged_before_it() {
    let mut backups = Backups::new();
    let admin = backups.place.token(Role::Admin, None, false);
    let server = backups.place.spawn();
    let client = server.client.clone();
    let (token, acknowledged) = (backups.token.clone(), std::sync::Arc::new(std::sync::Mutex::new(Vec::new())));
    let (noted, gone) = (acknowledged.clone(), std::sync::Arc::new(std::sync::Mutex::new(Vec::new())));
    let erased = gone.clone();
    let issuing = tokio::spawn(async move {
        for n in 0.. {
            let receipt = client.issue(&token, call(n)).await;
            if n % 5 == 4 {
                let record = receipt["record"].as_str().unwrap();
                let answer = client.delete(&format!("/v1/records/{record}"), &admin).await;
                assert!(answer.status < 300, "{answer:?}");
                erased.lock().unwrap().push(record.to_owned());
            } else {
                noted.lock().unwrap().push(receipt["record"].as_str().unwrap().to_owned());
            }
        }
    });
    let at_least = async |count: usize| {
        let started = std::time::Instant::now();
        while acknowledged.lock().unwrap().len() < count {
            assert!(started.elapsed() < PATIENCE && !issuing.is_finished());
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let (mut before, mut gone_before) = (Vec::new(), Vec::new());
    for round in 1..=3 {
        at_least(round * 10).await;
        (before, gone_before) = (acknowledged.lock().unwrap().clone(), gone.lock().unwrap().clone());
        let made = tokio::task::block_in_place(|| backups.back_up());
        assert!(made[0]["logs"][0]["size"].as_u64().unwrap() > before.len() as u64);
        assert_eq!(code(&backups.check(&["--max-age", "1"])), 0);
    }
    issuing.abort();
    let _ = issuing.await;
    assert!(server.stop());

    let data = backups.place.data().to_str().unwrap().to_owned();
    let restored = backups.restore("restored", &["--compare", &data]);
    assert_eq!(code(&restored), 0, "{}", said(&restored));
    backups.take("restored");
    backups.place.audit().await.unwrap();
    let server = backups.place.serve().await;
    for record in before {
        let answer = server.client.get(&format!("/v1/records/{record}/receipt"), &backups.token).await;
        assert_eq!(answer.status, 200, "{record}");
        assert_eq!(server.client.get(&format!("/v1/records/{record}"), &backups.token).await.status, 200, "{record}");
    }
    assert!(!gone_before.is_empty());
    for record in gone_before {
        let answer = server.client.get(&format!("/v1/records/{record}"), &backups.token).await;
        assert_eq!(answer.status, 410, "{record} was erased before");
    }
    server.client.issue(&backups.token, call(1_000_000)).await;
    server.stop().await;
    backups.place.audit().await.unwrap();
}

#[tokio::test]
async fn a_backup_that_is_killed_is_none_or_the_one_before_and_the_next_goes_on() {
    let backups = Backups::with_records(3).await;
    let config = backups.place.config_file();
    let arguments = ["backup", "backup", "--config", config.to_str().unwrap()];
    let killed_at = |pieces: usize| {
        let mut child = backups.command().args(arguments).spawn().unwrap();
        let there = || std::fs::read_dir(backups.path("backup/pieces")).map_or(0, Iterator::count);
        while child.try_wait().unwrap().is_none() && there() < pieces {
            std::thread::yield_now();
        }
        let _ = child.kill();
        child.wait().unwrap()
    };
    for pieces in 1..8 {
        let ended = killed_at(pieces);
        let checked = backups.check(&[]);
        assert_eq!(code(&checked), if ended.success() { 0 } else { 2 }, "{}", said(&checked));
        if ended.success() {
            break;
        }
    }
    backups.back_up();
    assert_eq!(code(&backups.check(&[])), 0);
    // The one before stays until the next is whole.
    backups.issue(3..6).await;
    for _ in 0..5 {
        killed_at(0);
        assert_eq!(code(&backups.check(&[])), 0);
    }
    backups.back_up();
    assert_eq!(code(&backups.restore("restored", &[])), 0);
}

#[tokio::test]
async fn one_byte_that_changed_is_found_by_check_and_by_restore() {
    let backups = Backups::with_records(3).await;
    backups.back_up();
    copy_folder(&backups.path("backup"), &backups.path("whole"));
    assert_eq!(code(&backups.check(&[])), 0);
    for (number, file) in files_of(&backups.path("backup")).into_iter().enumerate() {
        flip(&file);
        let checked = backups.check(&[]);
        assert_eq!(code(&checked), 1, "{file:?}: {}", said(&checked));
        let to = format!("restored-{number}");
        let restored = backups.restore(&to, &[]);
        assert_eq!(code(&restored), 1, "{file:?}: {}", said(&restored));
        std::fs::copy(backups.path("whole").join(file.strip_prefix(backups.path("backup")).unwrap()), &file).unwrap();
    }
    // A piece that is gone is found without reading; once a damaged one is removed, the next backup writes it again.
    let piece = files_of(&backups.path("backup/")).into_iter().find(|file| !file.ends_with("manifest")).unwrap();
    std::fs::remove_file(&piece).unwrap();
    assert_eq!(code(&backups.check(&["--quick"])), 1);
    backups.back_up();
    assert_eq!(code(&backups.check(&[])), 0);
}

#[tokio::test]
async fn a_manifest_that_is_cut_short_or_of_another_log_is_refused() {
    let backups = Backups::with_records(1).await;
    backups.back_up();
    let manifest = backups.path("backup/manifest");
    let whole = std::fs::read(&manifest).unwrap();
    std::fs::write(&manifest, &whole[..whole.len() - 9]).unwrap();
    assert_eq!(code(&backups.check(&[])), 1);
    let config = backups.place.config_file();
    let config = config.to_str().unwrap();
    let over = backups.affiant(&["backup", "backup", "--config", config]);
    assert_eq!(code(&over), 3, "what does not read is not written over: {}", said(&over));
    std::fs::write(&manifest, whole).unwrap();

    // Another log, under another key.
    let other = Backups::new();
    std::fs::remove_file(other.place.data().join("authority/log.key.pem")).unwrap();
    let target = backups.path("backup");
    let target = target.to_str().unwrap();
    let other_config = other.place.config_file();
    let refused = other.affiant(&["backup", target, "--config", other_config.to_str().unwrap()]);
    assert!(code(&refused) == 3 && said(&refused).contains("never started"), "{}", said(&refused));
    other.issue(0..1).await;
    let refused = other.affiant(&["backup", target, "--config", other_config.to_str().unwrap()]);
    assert!(code(&refused) == 3 && said(&refused).contains("holds a backup of"), "{}", said(&refused));
    // The keys do not go where the data are.
    let refused = backups.affiant(&["backup", "elsewhere", "--config", config, "--with-keys", "backup"]);
    assert!(code(&refused) == 3 && said(&refused).contains("holds a backup of the data"), "{}", said(&refused));
    assert_eq!(code(&backups.check(&[])), 0);
    let of_other = other.affiant(&["backup", "own", "--config", other_config.to_str().unwrap()]);
    assert!(of_other.status.success());
    let own = other.path("own");
    let checked =
        backups.affiant(&["backup", "check", own.to_str().unwrap(), "--log-key", &backups.place.log_key().to_string()]);
    assert!(code(&checked) == 1 && said(&checked).contains("not of"), "{}", said(&checked));
    // Nor is the directory of another log one of which this is the beginning.
    let compared = backups.check(&["--compare", other.place.data().to_str().unwrap()]);
    assert!(code(&compared) == 1 && said(&compared).contains("does not continue"), "{}", said(&compared));
    let unvouched = backups.affiant(&["backup", "check", own.to_str().unwrap()]);
    assert!(code(&unvouched) == 0 && said(&unvouched).contains("nobody vouched for"), "{}", said(&unvouched));
}

#[tokio::test]
async fn a_target_in_the_data_is_refused_and_no_link_in_a_target_is_followed() {
    let backups = Backups::with_records(1).await;
    let config = backups.place.config_file();
    let back_up = |target: &str| backups.affiant(&["backup", target, "--config", config.to_str().unwrap()]);
    std::fs::create_dir(backups.path("outside")).unwrap();
    symlink(backups.place.data(), backups.path("link")).unwrap();
    for target in ["data", "data/backup", "data/a/b", "link/backup", "outside/../data/x"] {
        let refused = back_up(target);
        assert!(
            code(&refused) == 3 && said(&refused).contains("in the data directory"),
            "{target}: {}",
            said(&refused)
        );
    }
    std::fs::create_dir(backups.path("target")).unwrap();
    symlink(backups.path("outside"), backups.path("target/pieces")).unwrap();
    assert_eq!(code(&back_up("target")), 3);
    assert_eq!(std::fs::read_dir(backups.path("outside")).unwrap().count(), 0);
    std::fs::remove_file(backups.path("target/pieces")).unwrap();
    std::fs::write(backups.path("mine"), "mine").unwrap();
    symlink(backups.path("mine"), backups.path("target/manifest")).unwrap();
    assert_eq!(code(&back_up("target")), 3, "a link is no manifest");
    assert_eq!(std::fs::read(backups.path("mine")).unwrap(), b"mine");
}

#[tokio::test]
async fn keys_are_apart_and_restored_only_when_they_are_named() {
    let backups = Backups::with_records(2).await;
    let secret = std::fs::read(backups.place.data().join("master.key")).unwrap();
    backups.back_up();
    let holds =
        |target: &str| files_of(&backups.path(target)).iter().any(|file| std::fs::read(file).unwrap() == secret);
    assert!(holds("keys") && !holds("backup"));
    let key = backups.place.log_key().to_string();
    let without = backups.affiant(&["restore", "backup", "without", "--log-key", &key, "--verify"]);
    assert!(code(&without) == 0 && said(&without).contains("keys are not in it"), "{}", said(&without));
    let names = |folder: &str| {
        let find = run(Command::new("find").arg(backups.path(folder)).args(["-name", "*key*", "-type", "f"])).unwrap();
        String::from_utf8(find.stdout).unwrap()
    };
    assert_eq!(names("without"), "");
    let wrong = backups.affiant(&["restore", "keys", "wrong"]);
    assert!(code(&wrong) == 3 && said(&wrong).contains("not of the data"), "{}", said(&wrong));
    assert_eq!(code(&backups.restore("with", &[])), 0);
    assert!(names("with").contains("master.key") && names("with").contains("log.key.pem"));
    let again = backups.restore("with", &[]);
    assert!(code(&again) == 3 && said(&again).contains("not empty"), "{}", said(&again));
    // Who begins to restore and does not finish has nothing that starts.
    std::fs::write(backups.path("with/restore.unfinished"), "").unwrap();
    let mut backups = backups;
    backups.take("with");
    let refused = backups.place.open().await.err().unwrap().to_string();
    assert!(refused.contains("not restored to its end"), "{refused}");
}

#[tokio::test]
async fn a_restored_backup_that_is_older_than_what_a_witness_saw_is_not_started() {
    let mut backups = Backups::new();
    let witness = WitnessPlace::new();
    let process = witness.serve();
    backups.place.set("witnessing", &witness.settings(&process));
    let issue = async |n| {
        let server = backups.place.serve_now().await;
        server.client.issue(&backups.token, call(n)).await;
        let size = server.state().issuance().ledger().size().0;
        let cosigned = |health: &Value| health["parties"][0]["answered"].as_u64().unwrap() >= size;
        server.client.wait_for_health(cosigned).await;
        server.stop().await;
        size
    };
    issue(1).await;
    backups.back_up();
    let newest = issue(2).await;
    let data = backups.place.data().to_str().unwrap().to_owned();
    let checked = backups.check(&["--json", "--compare", &data]);
    let checked: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(checked["loss"][0]["records"], 1, "{checked}");
    // A directory that is not there has nothing to lose, and is no answer.
    assert_eq!(code(&backups.check(&["--compare", "nowhere"])), 3);
    assert_eq!(code(&backups.check(&["--compare", "backup"])), 3);
    let restored = backups.restore("restored", &["--compare", &data]);
    assert!(code(&restored) == 0 && said(&restored).contains("1 of them records"), "{}", said(&restored));
    backups.take("restored");
    let refused = backups.place.open().await.err().unwrap().to_string();
    assert!(refused.contains(&format!("has cosigned {newest} entries")), "{refused}");
    assert!(process.stop());
}

#[tokio::test]
async fn what_is_there_is_not_written_again_and_what_is_not_needed_goes() {
    let backups = Backups::with_records(2).await;
    backups.back_up();
    let first = files_of(&backups.path("backup"));
    let again = backups.back_up();
    assert!(again[1]["bytes_written"].as_u64().unwrap() < 1 << 16, "the list alone: {again}");
    backups.issue(2..4).await;
    backups.back_up();
    let later = files_of(&backups.path("backup"));
    let kept = first.intersection(&later).count();
    assert!(kept > 1, "certificates and profiles are the same");
    assert!(first.difference(&later).count() > 0, "journal, bodies and keys of before are gone");
    let none = backups.affiant(&["backup", "check", "data"]);
    assert!(code(&none) == 2 && said(&none).contains("no backup"), "{}", said(&none));
    assert_eq!(code(&backups.affiant(&["backup", "check", "nowhere"])), 3);
}

#[tokio::test]
async fn secrets_that_lie_in_the_data_are_not_backed_up_with_it() {
    let mut backups = Backups::new();
    let data = backups.place.data().to_owned();
    std::fs::create_dir(data.join("secrets")).unwrap();
    let secrets = ["secrets/vault", "passphrase", "tls-key.pem", "server.key"].map(|name| data.join(name));
    std::fs::write(&secrets[1], PASSPHRASE).unwrap();
    std::fs::write(&secrets[2], "a key for TLS").unwrap();
    std::fs::write(&secrets[3], "another key").unwrap();
    backups.place.set("data", &format!("vault_key_file = {:?}\npassphrase_file = {:?}", secrets[0], secrets[1]));
    backups.issue(0..1).await;
    backups.back_up();
    let holds = |target: &str, secret: &Path| {
        let secret = std::fs::read(secret).unwrap();
        files_of(&backups.path(target)).iter().any(|file| std::fs::read(file).unwrap() == secret)
    };
    let held = secrets.each_ref().map(|secret| (holds("backup", secret), holds("keys", secret)));
    assert_eq!(held, [(false, true), (false, false), (false, true), (false, true)]);
    assert_eq!(code(&backups.restore("restored", &[])), 0);
    assert!(!backups.path("restored/passphrase").exists());
    assert_eq!(std::fs::read(backups.path("restored/master.key")).unwrap(), std::fs::read(&secrets[0]).unwrap());
}

#[tokio::test]
async fn a_file_that_did_not_change_is_not_read_again_unless_it_changed_just_now() {
    let backups = Backups::with_records(1).await;
    let files = ["old", "new"].map(|name| backups.place.data().join(name));
    let hour_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    let write = |file: &Path, text: &str, modified: std::time::SystemTime| {
        std::fs::write(file, text).unwrap();
        std::fs::File::options().write(true).open(file).unwrap().set_modified(modified).unwrap();
    };
    let now = std::time::SystemTime::now();
    write(&files[0], "before", hour_ago);
    write(&files[1], "before", now);
    backups.back_up();
    // As a disk does it: the time of the file says nothing.
    write(&files[0], "beyond", hour_ago);
    write(&files[1], "beyond", now);
    backups.back_up();
    assert_eq!(code(&backups.restore("restored", &[])), 0);
    let restored = ["old", "new"].map(|name| std::fs::read_to_string(backups.path("restored").join(name)).unwrap());
    assert_eq!(restored, ["before", "beyond"]);
}

#[tokio::test]
async fn a_journal_that_ends_before_what_was_signed_is_not_backed_up() {
    let backups = Backups::with_records(2).await;
    // Without the snapshot, all of it is read.
    std::fs::remove_file(backups.place.data().join("ledger/snapshot")).unwrap();
    let journal = backups.place.data().join("ledger/0000000000000000.seg");
    let whole = std::fs::read(&journal).unwrap();
    let mut damaged = whole.clone();
    *damaged.last_mut().unwrap() ^= 1;
    std::fs::write(&journal, damaged).unwrap();
    let config = backups.place.config_file();
    let back_up = || backups.affiant(&["backup", "backup", "--config", config.to_str().unwrap()]);
    let refused = back_up();
    assert!(code(&refused) == 3 && said(&refused).contains("ledger/0000000000000000.seg"), "{}", said(&refused));
    std::fs::write(&journal, whole).unwrap();
    assert_eq!(code(&back_up()), 0);
}

#[tokio::test]
async fn the_log_of_statements_is_in_it() {
    let mut backups = Backups::new();
    backups.place.set("statements", "enabled = true");
    backups.issue(0..2).await;
    let made = backups.back_up();
    assert_eq!(made[0]["logs"].as_array().unwrap().len(), 2, "{made}");
    let restored = backups.restore("restored", &[]);
    assert_eq!(code(&restored), 0, "{}", said(&restored));
    assert!(said(&restored).contains("/statements: chain"), "{}", said(&restored));
    backups.take("restored");
    backups.issue(2..3).await;
}

#[tokio::test]
async fn keys_of_a_release_before_are_taken_over_first() {
    let backups = Backups::with_records(1).await;
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data-0.1.0/data/vault/keys");
    let vault = backups.place.data().join("vault");
    std::fs::remove_dir_all(vault.join("keys")).unwrap();
    std::fs::copy(old, vault.join("keys")).unwrap();
    let config = backups.place.config_file();
    let refused = backups.affiant(&["backup", "backup", "--config", config.to_str().unwrap()]);
    assert!(code(&refused) == 3 && said(&refused).contains("start the server once"), "{}", said(&refused));
}

#[tokio::test]
async fn a_bucket_is_a_target_as_a_folder_is() {
    let backups = Backups::with_records(3).await;
    let bucket = Bucket::serve();
    let config = backups.place.config_file();
    let key = backups.place.log_key().to_string();
    let affiant = |arguments: &[&str]| {
        let mut command = backups.command();
        bucket.name_in(&mut command);
        run(command.args(arguments)).unwrap()
    };
    let target = "s3://backups/calls/data";
    let back_up = ["backup", target, "--config", config.to_str().unwrap(), "--with-keys", "s3://backups/keys"];
    let check = ["backup", "check", target, "--log-key", &key];
    assert_eq!(code(&affiant(&check)), 2);
    let made = affiant(&back_up);
    assert_eq!(code(&made), 0, "{}", said(&made));
    assert_eq!(code(&affiant(&check)), 0);
    let keys_of = || bucket.held.lock().unwrap().objects.keys().cloned().collect::<BTreeSet<_>>();
    let first = keys_of();
    assert!(first.contains("calls/data/manifest") && first.contains("keys/manifest"));
    // The next one goes on from what is there, and removes what it does not need.
    backups.issue(3..5).await;
    assert_eq!(code(&affiant(&back_up)), 0);
    let later = keys_of();
    assert!(first.difference(&later).count() > 0 && first.intersection(&later).count() > 2);
    let restored =
        affiant(&["restore", target, "restored", "--keys", "s3://backups/keys", "--log-key", &key, "--verify"]);
    assert_eq!(code(&restored), 0, "{}", said(&restored));
    // What was changed is found.
    let piece = later.iter().find(|key| key.starts_with("calls/data/pieces/")).unwrap();
    bucket.held.lock().unwrap().objects.get_mut(piece).unwrap()[0] ^= 1;
    assert_eq!(code(&affiant(&check)), 1);
    assert_eq!(code(&affiant(&["restore", target, "damaged", "--log-key", &key])), 1);
    bucket.held.lock().unwrap().objects.remove(piece);
    assert_eq!(code(&affiant(&[&check[..], &["--quick"]].concat())), 1);
    assert_eq!(code(&affiant(&back_up)), 0);
    assert_eq!(code(&affiant(&check)), 0);
    // Not in clear, unless that is allowed.
    let mut command = backups.command();
    bucket.name_in(&mut command);
    let refused = run(command.env_remove("AWS_ALLOW_HTTP").args(check)).unwrap();
    assert!(code(&refused) == 3 && said(&refused).contains("not https"), "{}", said(&refused));
}

#[tokio::test]
async fn a_backup_into_a_bucket_that_is_killed_is_none_and_of_two_at_once_one_counts() {
    let backups = Backups::with_records(2).await;
    let bucket = Bucket::serve();
    let config = backups.place.config_file();
    let key = backups.place.log_key().to_string();
    let command = |arguments: &[&str]| {
        let mut command = backups.command();
        bucket.name_in(&mut command);
        command.args(arguments);
        command
    };
    let back_up = ["backup", "s3://backups", "--config", config.to_str().unwrap()];
    let check = || code(&run(&mut command(&["backup", "check", "s3://backups", "--log-key", &key])).unwrap());
    for objects in 1..6 {
        let mut child = command(&back_up).spawn().unwrap();
        while child.try_wait().unwrap().is_none() && bucket.held.lock().unwrap().objects.len() < objects {
            std::thread::yield_now();
        }
        let _ = child.kill();
        let whole = child.wait().unwrap().success();
        assert_eq!(check(), if whole { 0 } else { 2 });
    }
    let mut both = [0, 1].map(|_| command(&back_up).spawn().unwrap());
    let ended = both.each_mut().map(|child| child.wait().unwrap().success());
    assert!(ended.contains(&true), "{ended:?}");
    assert_eq!(check(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_changes_between_any_two_pieces_what_is_restored_opens() {
    let mut backups = Backups::with_records(3).await;
    let admin = backups.place.token(Role::Admin, None, false);
    let server = backups.place.spawn();
    let before = server.client.issue(&backups.token, call(10)).await;
    let mut old = Vec::new();
    for n in 100..112 {
        let receipt = server.client.issue(&backups.token, call(n)).await;
        old.push(format!("/v1/records/{}", receipt["record"].as_str().unwrap()));
    }
    let bucket = Bucket::serve();
    // Each time a record that stays; for four times of eight one that is erased at once, and one that was there before; and now
    // and then a new certificate.
    let (ask, mut asked) = tokio::sync::mpsc::unbounded_channel::<std::sync::mpsc::Sender<()>>();
    let (client, token, issuer) = (server.client.clone(), backups.token.clone(), backups.place.issuer(0));
    let changing = tokio::spawn(async move {
        let mut changes = 0_u64;
        while let Some(done) = asked.recv().await {
            client.issue(&token, call(1000 + 2 * changes)).await;
            let erased = client.issue(&token, call(1001 + 2 * changes)).await;
            let path = format!("/v1/records/{}", erased["record"].as_str().unwrap());
            let erased = if changes % 8 < 4 { [Some(path), old.pop()] } else { [None, None] };
            for path in erased.into_iter().flatten() {
                assert_eq!(client.delete(&path, &admin).await.status, 204);
            }
            // An RSA key takes its time.
            if changes.is_multiple_of(3) {
                let rotated = client.post(&format!("/v1/admin/issuers/{issuer}/rotate"), &admin, "").await;
                assert!(rotated.status < 300, "{rotated:?}");
            }
            changes += 1;
            done.send(()).unwrap();
        }
        changes
    });
    let meanwhile = move || {
        let (done, wait) = std::sync::mpsc::channel();
        ask.send(done).unwrap();
        wait.recv().unwrap();
    };
    bucket.held.lock().unwrap().meanwhile = Some(std::sync::Arc::new(meanwhile));
    let config = backups.place.config_file();
    let affiant = |arguments: &[&str]| {
        let mut command = backups.command();
        bucket.name_in(&mut command);
        tokio::task::block_in_place(|| run(command.args(arguments))).unwrap()
    };
    let made = affiant(&[
        "backup",
        "s3://backups/data",
        "--config",
        config.to_str().unwrap(),
        "--with-keys",
        "s3://backups/keys",
    ]);
    assert_eq!(code(&made), 0, "{}", said(&made));
    bucket.held.lock().unwrap().meanwhile = None;
    let changes = changing.await.unwrap();
    assert!(changes > 20, "{changes} pieces");
    let key = backups.place.log_key().to_string();
    let data = backups.place.data().to_str().unwrap().to_owned();
    let restore =
        ["restore", "s3://backups/data", "restored", "--keys", "s3://backups/keys", "--log-key", &key, "--verify"];
    let restored = affiant(&[&restore[..], &["--compare", &data, "--json"]].concat());
    assert_eq!(code(&restored), 0, "{}", said(&restored));
    let restored: Value = serde_json::from_slice(&restored.stdout).unwrap();
    assert!(restored["loss"][0]["erasures"].as_u64().unwrap() > 0, "{restored}");
    assert!(server.stop());

    backups.take("restored");
    let size = backups.place.audit().await.unwrap().size;
    let server = backups.place.serve().await;
    let before = before["record"].as_str().unwrap();
    assert_eq!(server.client.get(&format!("/v1/records/{before}"), &backups.token).await.status, 200);
    // What the ledger says is erased is, and everything else is there.
    let reader = server.state().issuance().ledger();
    let (mut erased, mut there) = (BTreeSet::new(), BTreeSet::new());
    // Also behind the newest checkpoint.
    for index in 0..reader.size().0 {
        let (_, entry) = reader.entry(LeafIndex(index)).unwrap();
        let entry: Value = serde_json::from_slice(&entry).unwrap();
        match entry["kind"].as_str().unwrap() {
            "vcon.erased" => drop(erased.insert(entry["of"].as_str().unwrap().to_owned())),
            "vcon.issued" => drop(there.insert(entry["record"].as_str().unwrap().to_owned())),
            _ => {}
        }
    }
    assert!(!erased.is_empty() && there.len() > erased.len());
    for record in &there {
        let status = server.client.get(&format!("/v1/records/{record}"), &backups.token).await.status;
        assert_eq!(status, if erased.contains(record) { 410 } else { 200 }, "{record}");
    }
    server.client.issue(&backups.token, call(1_000_000)).await;
    server.stop().await;
    assert!(backups.place.audit().await.unwrap().size > size);
}
