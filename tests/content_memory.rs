//! Recordings are packed and unpacked in constant memory, measured on the processes that do it.
#![cfg(all(feature = "server", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use affiant::vcon::{ContentDigester, ContentHash};

const RECORDING_MIB: u64 = 160;
/// The program itself, its buffers, and what an allocator keeps; a copy of the recording is far above it.
const PEAK_MIB_MAX: u64 = 64;

#[test]
fn a_recording_is_packed_and_unpacked_in_constant_memory() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("r");
    std::fs::create_dir(&folder).unwrap();
    let hash = write_recording(&folder.join("call.wav"));
    let external = format!(
        r#"{{"dialog":[{{"type":"recording","mediatype":"audio/x-wav","filename":"call.wav","url":"https://x.example/call.wav","content_hash":"{hash}"}}]}}"#
    );
    let (document, packed) = (directory.path().join("external.json"), directory.path().join("packed.json"));
    std::fs::write(&document, &external).unwrap();
    let peak = peak_mib(&["pack", path(&document), "--from", path(&folder)], &packed);
    assert!((1..PEAK_MIB_MAX).contains(&peak), "packed with {peak} MiB at the peak");
    assert!(std::fs::metadata(&packed).unwrap().len() > (RECORDING_MIB << 20) * 4 / 3);

    let (again, unpacked) = (directory.path().join("u"), directory.path().join("unpacked.json"));
    let peak =
        peak_mib(&["unpack", path(&packed), "--dir", path(&again), "--url-prefix", "https://x.example/"], &unpacked);
    assert!((1..PEAK_MIB_MAX).contains(&peak), "unpacked with {peak} MiB at the peak");
    assert_eq!(std::fs::read_to_string(unpacked).unwrap(), external);
    assert_eq!(hash_of(&again.join("call.wav")), hash);
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn write_recording(path: &Path) -> ContentHash {
    let mut file = File::create(path).unwrap();
    let mebibyte: Vec<u8> = (0..1_u32 << 20).map(|byte| (byte * 7 % 251) as u8).collect();
    for _ in 0..RECORDING_MIB {
        file.write_all(&mebibyte).unwrap();
    }
    hash_of(path)
}

fn hash_of(path: &Path) -> ContentHash {
    let (mut file, mut digester, mut buffer) =
        (File::open(path).unwrap(), ContentDigester::default(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer).unwrap() {
            0 => return ContentHash::from_sha512(digester.finish().sha512),
            read => digester.update(&buffer[..read]),
        }
    }
}

/// The most memory that `affiant vcon` was seen to have while it ran, in MiB.
fn peak_mib(arguments: &[&str], output: &Path) -> u64 {
    let mut command = Command::new(env!("CARGO_BIN_EXE_affiant"));
    command.arg("vcon").args(arguments).stdout(File::create(output).unwrap()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut peak = 0;
    loop {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or(0) / 1024);
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            return peak;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
