//! The vCon library beside the Python one, on the same files and one core: `AFFIANT_PYTHON=venv/bin/python cargo bench
//! --bench vcon`, where `venv` has what `tests/interop/requirements-vcon.txt` names. Without it, ours alone.
//!
//! The files are those of the vectors' folder (`AFFIANT_VECTORS`), without those that are larger than 64 KiB: those
//! measure base64. `AFFIANT_BENCH_SECONDS` sets how long each figure is measured (default 2).

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use affiant::crypto::{KeySize, Signer as _, SigningKey};
use affiant::jose::{Jws, NewSignature};
use affiant::json::JsonLimits;
use affiant::vcon::{NewContent, NewDialog, Vcon, VconBuilder, VconLimits, uuid8, validate};
use chrono::{DateTime, Utc};
use serde_json::Value;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const FILE_BYTES_MAX: u64 = 64 << 10;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let seconds: u64 = std::env::var("AFFIANT_BENCH_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    let files = files()?;
    let limits = VconLimits::default();
    let texts = files.iter().map(std::fs::read).collect::<Result<Vec<_>, _>>()?;
    println!("{} files of {} bytes together; {seconds} s a figure, one core\n", files.len(), texts.concat().len());
    let theirs = theirs(seconds, &files)?;

    let time = Duration::from_secs(seconds);
    let vcons = texts.iter().map(|text| Vcon::parse(text, &limits)).collect::<Result<Vec<_>, _>>()?;
    let (key, _) = SigningKey::generate_rsa(KeySize::Rsa2048);
    let certificate = vec![vec![0; 1000]];
    let sign = |text: &Vec<u8>| {
        let vcon = Vcon::parse(text, &limits).expect("a vCon");
        let uuid = vcon.uuid().unwrap_or_default().to_owned();
        let signature = NewSignature { signer: &key, chain: &certificate, issued_at: Utc::now(), uuid: &uuid };
        signature.sign(&vcon.to_bytes()).expect("an RSA key")
    };
    let signed: Vec<_> = texts.iter().map(sign).collect();
    let verify = |text: &Vec<u8>| {
        let jws = Jws::parse(text, &JsonLimits::default()).expect("a JWS");
        assert!(jws.check_signature(&jws.signatures()[0], key.verifying_key()).is_ok());
    };
    let now = Utc::now();
    let ours = [
        ("parse", per_second(time, &texts, |text| drop(Vcon::parse(text, &limits)))),
        ("build", per_second(time, &[now], |now| drop(build(*now)))),
        ("validate", per_second(time, &vcons, |vcon| drop(validate(vcon)))),
        ("sign", per_second(time, &texts, |text| drop(sign(text)))),
        ("verify", per_second(time, &signed, verify)),
    ];
    println!("{:<10} {:>12} {:>12} {:>8}", "", "ours", "vcon (PyPI)", "ratio");
    for (name, rate) in ours {
        match theirs.get(name).and_then(Value::as_f64) {
            Some(other) => println!("{name:<10} {rate:>12.0} {other:>12.0} {:>8.1}", rate / other),
            None => println!("{name:<10} {rate:>12.0} {:>12} {:>8}", "-", "-"),
        }
    }
    Ok(())
}

/// The unsigned examples.
fn files() -> Result<Vec<PathBuf>, Failure> {
    let data = std::env::var_os("AFFIANT_VECTORS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data")), PathBuf::from);
    let mut files = Vec::new();
    for folder in ["vcon-core-03", "vcon-legacy"] {
        for entry in std::fs::read_dir(data.join(folder))? {
            let path = entry?.path();
            let small = path.metadata()?.len() <= FILE_BYTES_MAX;
            if small && Vcon::parse(&std::fs::read(&path)?, &VconLimits::default()).is_ok() {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// What the Python library does, if there is one.
fn theirs(seconds: u64, files: &[PathBuf]) -> Result<Value, Failure> {
    let Some(python) = std::env::var_os("AFFIANT_PYTHON") else {
        println!("AFFIANT_PYTHON names no Python: ours alone\n");
        return Ok(Value::Null);
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/vcon_python.py");
    let output = Command::new(python).arg(script).arg(seconds.to_string()).args(files).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn build(now: DateTime<Utc>) -> Vec<u8> {
    let mut builder = VconBuilder::new(uuid8("bench.example", now), now);
    let parties = [builder.party("Dana", "tel:+12025550100"), builder.party("Robin", "tel:+12025550101")];
    for turn in 0..10 {
        let said = NewContent::text("About as many words as people say in a turn of a call.");
        builder.add_dialog(NewDialog::text(now, said).parties(&[parties[turn % 2]]));
    }
    builder.build().to_bytes()
}

#[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 52 bits")]
fn per_second<T>(time: Duration, inputs: &[T], work: impl Fn(&T)) -> f64 {
    let (mut done, started) = (0_u64, Instant::now());
    while started.elapsed() < time {
        inputs.iter().for_each(&work);
        done += inputs.len() as u64;
    }
    done as f64 / started.elapsed().as_secs_f64()
}
