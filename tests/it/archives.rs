//! Bundles that were unpacked and packed again by other tools are read as the same files.

use std::path::Path;
use std::process::Command;

use affiant::evidence::BundleFiles;

/// Packs the folder `files` into `$1` in every way that Python knows, one for each name of a mode.
const PYTHON: &str = r#"
import os, sys, zipfile
mode, out = sys.argv[1], sys.argv[2]
names = sorted(os.path.relpath(os.path.join(at, name), "files") for at, _, names in os.walk("files") for name in names)
class Pipe:
    def __init__(self, file): self.file = file
    def write(self, data): return self.file.write(data)
    def flush(self): self.file.flush()
file = open(out, "wb")
method = zipfile.ZIP_STORED if mode == "stored" else zipfile.ZIP_DEFLATED
with zipfile.ZipFile(Pipe(file) if mode == "streamed" else file, "w", method) as archive:
    if mode == "folders":
        archive.writestr("crls/", "")
    for name in names:
        with archive.open(zipfile.ZipInfo(name) if mode == "zip64" else name, "w", force_zip64=mode == "zip64") as entry:
            entry.write(open(os.path.join("files", name), "rb").read())
file.close()
"#;

/// Runs a command in `folder`; `None` where it is not there.
fn run(folder: &Path, command: &mut Command) -> Option<()> {
    let output = command.current_dir(folder).output().ok()?;
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some(())
}

#[test]
fn what_other_tools_pack_is_read_alike() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = BundleFiles::default();
    for (name, bytes) in
        [("record.vcon.json", vec![b'r'; 5000]), ("crls/0.crl.pem", b"list".to_vec()), ("empty", Vec::new())]
    {
        files.add(name, bytes.clone());
        let path = folder.path().join("files").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let sorted = |files: &BundleFiles| {
        let mut files: Vec<_> = files.iter().map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).collect();
        files.sort();
        files
    };
    let mut tried = 0;
    let mut check = |name: &str, command: &mut Command| {
        if run(folder.path(), command).is_none() {
            println!("skipped: {name} is not there");
            return;
        }
        let packed = std::fs::read(folder.path().join("out.zip")).unwrap();
        let read = BundleFiles::from_zip(&packed).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(sorted(&read), sorted(&files), "{name}");
        std::fs::remove_file(folder.path().join("out.zip")).unwrap();
        tried += 1;
    };
    for mode in ["stored", "deflated", "streamed", "folders", "zip64"] {
        check(&format!("Python, {mode}"), Command::new("python3").args(["-c", PYTHON, mode, "out.zip"]));
    }
    let shell = |line: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        command
    };
    let has = |program: &str| shell(&format!("command -v {program}")).status().is_ok_and(|status| status.success());
    for (program, line) in [
        ("zip", "cd files && zip -q -r ../out.zip ."),
        ("zip", "cd files && zip -q -X -D -r ../out.zip ."),
        ("zip", "cd files && zip -q -r - . | cat > ../out.zip"),
        ("jar", "jar -c -f out.zip -M -C files ."),
    ] {
        if has(program) { check(line, &mut shell(line)) } else { println!("skipped: {program} is not there") }
    }
    println!("{tried} archives of other tools");
}
