//! A reader before the page: what they have, what they do, what they see.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use affiant::clock::SystemClock;
use affiant::evidence::BundleFiles;
use affiant::server::StartOptions;
use serde_json::{Value, json};

use crate::fixtures::server::{Answer, Client, InProcess, Place, RECORDING, WitnessPlace, call};
use crate::fixtures::webdriver::Browser;

/// A server, what it issued, and a folder with the reader's files.
pub(super) struct Reader {
    pub(super) place: Place,
    pub(super) server: InProcess,
    folder: tempfile::TempDir,
    pub(super) bundle: Vec<u8>,
}

impl Reader {
    pub(super) async fn new() -> Self {
        Self::of(Place::new(), "included", call(1)).await
    }

    /// A reader of a record that a witness and a timestamp authority have seen.
    pub(super) async fn witnessed() -> Self {
        let (mut place, witness) = (Place::new(), WitnessPlace::new());
        let process = witness.serve();
        place.set("witnessing", &witness.settings(&process));
        let reader = Self::of(place, "witnessed", call(1)).await;
        assert!(process.stop());
        reader
    }

    /// A reader of a call of their own.
    pub(super) async fn of(place: Place, wait: &str, call: Vec<u8>) -> Self {
        let token = place.issuer_token(0);
        let state = place.open_with(Arc::new(SystemClock::default()), StartOptions::default()).await.unwrap();
        let server = InProcess::of(affiant::server::serve(state).unwrap());
        let receipt = server.client.post(&format!("/v1/records?wait={wait}"), &token, call).await.json();
        if wait == "witnessed" {
            let answered = |party: &Value| party["answered"].as_u64() > receipt["index"].as_u64();
            let all = |health: &Value| health["parties"].as_array().unwrap().iter().all(answered);
            server.client.wait_for_health(all).await;
        }
        let bundle = server.client.get(receipt["links"]["bundle"].as_str().unwrap(), &token).await.body;
        let reader = Self { place, server, folder: tempfile::tempdir().unwrap(), bundle };
        reader.file("call.evidence.zip", &reader.bundle);
        reader.file("call.wav", RECORDING);
        reader
    }

    pub(super) fn client(&self) -> &Client {
        &self.server.client
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file into the reader's folder, and gives its path.
    pub(super) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The bundle with one character of what was signed replaced.
    pub(super) fn tampered(&self) -> PathBuf {
        let mut files = BundleFiles::default();
        for (name, bytes) in BundleFiles::from_zip(&self.bundle).unwrap().iter() {
            let mut bytes = bytes.to_vec();
            if name == "record.vcon.json" {
                let payload = b"\"payload\":\"";
                let at =
                    bytes.windows(payload.len()).position(|window| window == payload).unwrap() + payload.len() + 200;
                bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            }
            files.add(name, bytes);
        }
        self.file("tampered.evidence.zip", &files.to_zip())
    }

    /// A trust policy of the reader's own, which trusts nobody.
    pub(super) fn nobody(&self) -> PathBuf {
        self.file("nobody.toml", affiant::evidence::TrustPolicy::nobody().to_toml().as_bytes())
    }

    pub(super) async fn trust_policy(&self) -> Answer {
        self.client().get("/v1/trust-policy", "").await
    }
}

/// What a reader does on the page.
impl Browser {
    /// Opens a page, and waits until it verifies here.
    pub(super) async fn visit(&self, url: &str) {
        self.open(url).await;
        let where_ = self.wait("document.documentElement.dataset.verifies").await;
        assert_eq!(where_, "here", "{:?}", self.complaints().await);
    }

    /// Chooses the files.
    pub(super) async fn give(&self, record: &Path, recordings: &[&Path]) {
        self.choose("#record", &[record]).await;
        if !recordings.is_empty() {
            self.choose("#recording", recordings).await;
        }
    }

    /// Asks for the report on what was chosen, and gives its JSON.
    pub(super) async fn verdict(&self) -> String {
        self.click("#send").await;
        self.report().await
    }

    /// Waits for the report, and gives its JSON.
    pub(super) async fn report(&self) -> String {
        self.wait("!document.getElementById('report').hidden || !document.getElementById('problem').hidden").await;
        let problem = self.text("#problem").await;
        assert_eq!(problem, "");
        self.text("#json").await
    }

    /// Drops files on an element, as if they came from a desktop.
    pub(super) async fn drop_on(&self, selector: &str, files: &[(&str, &[u8])]) {
        use base64::Engine as _;
        let files: Vec<Value> = files
            .iter()
            .map(|(name, bytes)| json!([name, base64::engine::general_purpose::STANDARD.encode(bytes)]))
            .collect();
        let script = "const list = new DataTransfer();
            for (const [name, base64] of arguments[1]) {
                list.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], name));
            }
            for (const kind of ['dragover', 'drop']) {
                const event = new DragEvent(kind, { dataTransfer: list, bubbles: true, cancelable: true });
                document.querySelector(arguments[0]).dispatchEvent(event);
            }";
        self.run(script, json!([selector, files])).await;
    }
}

/// The code of a report, as people see it.
pub(super) fn code(report: &str) -> String {
    let report: Value = serde_json::from_str(report).unwrap();
    let verdict = &report["verdict"];
    match verdict["sub_indication"].as_str() {
        None => verdict["indication"].as_str().unwrap().to_owned(),
        Some(sub) => format!("{} ({sub})", verdict["indication"].as_str().unwrap()),
    }
}
