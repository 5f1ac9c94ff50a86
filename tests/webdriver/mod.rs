//! A headless Chromium, driven as W3C WebDriver says, by a chromedriver of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// What is waited for at most: a loaded machine may be slow, but it is not this slow.
const PATIENCE: Duration = Duration::from_secs(120);
/// The name under which WebDriver hands out elements (WebDriver §12.2).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Keys as WebDriver writes them (§17.4.2).
pub(crate) const TAB: char = '\u{e004}';
pub(crate) const ENTER: char = '\u{e007}';
pub(crate) const SPACE: char = ' ';

/// A browser with one window.
pub(crate) struct Browser {
    driver: Child,
    http: reqwest::Client,
    session: String,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts one; `None`, and a line that says so, where Chromium or its driver is not there.
    pub(crate) async fn start() -> Option<Self> {
        let Some(chromium) = ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(program) else {
            println!("skipped: no chromium");
            return None;
        };
        let Some(driver) = program("chromedriver") else {
            println!("skipped: no chromedriver");
            return None;
        };
        let mut driver =
            Command::new(driver).arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines().map(Result::unwrap);
        let line = lines.find(|line| line.contains("started successfully on port")).unwrap();
        let port = line.trim_end_matches('.').rsplit(' ').next().unwrap().to_owned();
        // Nobody reads on, and a full pipe would stop it.
        std::thread::spawn(move || lines.count());
        let http = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
        let profile = tempfile::tempdir().unwrap();
        let arguments = [
            "--headless=new".to_owned(),
            // Inside a container there is no second sandbox to be had; the pages are our own.
            "--no-sandbox".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--disable-gpu".to_owned(),
            "--window-size=1200,1000".to_owned(),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "binary": chromium, "args": arguments },
            "goog:loggingPrefs": { "performance": "ALL", "browser": "ALL" },
        }}});
        let base = format!("http://127.0.0.1:{port}/session");
        let mut browser = Self { driver, http, session: base, _profile: profile };
        let session = browser.post("", &capabilities).await;
        browser.session = format!("{}/{}", browser.session, session["sessionId"].as_str().unwrap());
        Some(browser)
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        Self::answer(self.http.post(format!("{}{path}", self.session)).json(body)).await
    }

    async fn answer(request: reqwest::RequestBuilder) -> Value {
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert!(answer["value"]["error"].is_null(), "{answer}");
        answer["value"].clone()
    }

    pub(crate) fn driver_id(&self) -> u32 {
        self.driver.id()
    }

    pub(crate) async fn open(&self, url: &str) {
        self.post("/url", &json!({ "url": url })).await;
    }

    /// Runs the body of a function, and gives what it returns.
    pub(crate) async fn run(&self, script: &str, arguments: Value) -> Value {
        self.post("/execute/sync", &json!({ "script": script, "args": arguments })).await
    }

    /// Waits until an expression is true, and gives its value.
    pub(crate) async fn wait(&self, expression: &str) -> Value {
        let started = Instant::now();
        loop {
            let value = self.run(&format!("return {expression}"), json!([])).await;
            if !matches!(value, Value::Null | Value::Bool(false)) && value != "" {
                return value;
            }
            let shown = || async { self.run("return document.body.innerText", json!([])).await };
            assert!(started.elapsed() < PATIENCE, "{expression}: {:?}", shown().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Types into an element; into a file input, the paths of files, as if they had been chosen.
    pub(crate) async fn type_into(&self, selector: &str, text: &str) {
        let element = self.find(selector).await;
        self.post(&format!("/element/{element}/value"), &json!({ "text": text })).await;
    }

    pub(crate) async fn choose(&self, selector: &str, files: &[&Path]) {
        self.run("document.querySelector(arguments[0]).value = ''", json!([selector])).await;
        let paths: Vec<_> = files.iter().map(|path| path.to_str().unwrap()).collect();
        self.type_into(selector, &paths.join("\n")).await;
    }

    pub(crate) async fn click(&self, selector: &str) {
        let element = self.find(selector).await;
        self.post(&format!("/element/{element}/click"), &json!({})).await;
    }

    async fn find(&self, selector: &str) -> String {
        let found = self.post("/element", &json!({ "using": "css selector", "value": selector })).await;
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    pub(crate) async fn text(&self, selector: &str) -> String {
        let text = self.run("return document.querySelector(arguments[0]).textContent", json!([selector])).await;
        text.as_str().unwrap().to_owned()
    }

    /// Presses a key and lets it go, wherever the focus is.
    pub(crate) async fn press(&self, key: char) {
        let actions = json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        self.post("/actions", &json!({ "actions": [{ "type": "key", "id": "keys", "actions": actions }] })).await;
    }

    /// Speaks the browser's own protocol, for what WebDriver has no words.
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters })).await
    }

    /// Addresses on a network that were asked for since the last look.
    pub(crate) async fn requests(&self) -> Vec<String> {
        let log = self.post("/se/log", &json!({ "type": "performance" })).await;
        let messages = log.as_array().unwrap().iter().map(|entry| {
            let text = entry["message"].as_str().unwrap();
            serde_json::from_str::<Value>(text).unwrap()["message"].clone()
        });
        let sent = messages.filter(|message| message["method"] == "Network.requestWillBeSent");
        let urls = sent.map(|message| message["params"]["request"]["url"].as_str().unwrap().to_owned());
        // What is in the page, on the disk or in the browser itself is not on a network.
        urls.filter(|url| !["blob:", "data:", "file:", "chrome:"].iter().any(|own| url.starts_with(own))).collect()
    }

    /// What the browser complained about since the last look.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let log = self.post("/se/log", &json!({ "type": "browser" })).await;
        log.as_array().unwrap().iter().map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }

    /// Shows the page on a screen of this size, as a phone or as a desktop does.
    pub(crate) async fn screen(&self, width: u32, height: u32, phone: bool) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": if phone { 2 } else { 1 }, "mobile": phone });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// Shows the page as whoever prefers `light` or `dark` sees it.
    pub(crate) async fn scheme(&self, scheme: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", features).await;
    }

    /// A picture of the whole page, as PNG.
    pub(crate) async fn picture(&self) -> Vec<u8> {
        use base64::Engine as _;
        let options = json!({ "format": "png", "captureBeyondViewport": true });
        let shot = self.devtools("Page.captureScreenshot", options).await;
        base64::engine::general_purpose::STANDARD.decode(shot["data"].as_str().unwrap()).unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends its browser when the session ends, and would leave it behind if it were ended itself.
        let address = self.session.strip_prefix("http://").and_then(|rest| rest.split_once('/'));
        if let Some((host, path)) = address
            && let Ok(mut stream) = TcpStream::connect(host)
        {
            let request = format!("DELETE /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(request.as_bytes());
            // It answers when the browser has ended, and keeps the connection.
            let _ = stream.read(&mut [0; 1024]);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn program(name: &str) -> Option<std::path::PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
}
