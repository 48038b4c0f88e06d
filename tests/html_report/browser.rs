//! Chromium, spoken to over two pipes: a message of its protocol is JSON with a zero byte behind it.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// A browser that says nothing for so long hangs, however slow the machine.
const HANGS: Duration = Duration::from_secs(600);
/// One that is to end, and says nothing for so long, is ended.
const CLOSES: Duration = Duration::from_secs(20);
/// What it is called.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// Where it is, if this machine has one: `CHROMIUM`, or the first of its names in PATH.
pub(crate) fn path() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("CHROMIUM") {
        return Some(path.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|path| path.is_file())
}

/// How a page is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    pub(crate) width: u32,
    pub(crate) dark: bool,
    pub(crate) script: bool,
}

/// On a desk, by day.
pub(crate) const DESK: Look = Look { width: 1280, dark: false, script: true };

/// A browser with one page.
pub(crate) struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    session: Option<String>,
    last: u64,
    events: VecDeque<Value>,
    _folder: TempDir,
}

impl Browser {
    /// Starts it.
    pub(crate) fn start(path: &Path) -> Browser {
        let folder = tempfile::Builder::new().prefix("vuc-browser-").tempdir().unwrap();
        // It reads commands from descriptor 3 and answers on 4, which only a shell gives it without unsafe code.
        let mut command = Command::new("/bin/sh");
        command.args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 0</dev/null 1>&2"#]).arg(path);
        command.args([
            "--headless",
            "--remote-debugging-pipe",
            "--disable-gpu",
            "--no-first-run",
            "--disable-dev-shm-usage",
        ]);
        command.arg(format!("--user-data-dir={}", folder.path().display()));
        if nix::unistd::geteuid().is_root() {
            command.arg("--no-sandbox");
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(from).split(0).map_while(Result::ok) {
                if sender.send(serde_json::from_slice(&message).unwrap()).is_err() {
                    break;
                }
            }
        });
        let mut browser =
            Browser { child, to, from: receiver, session: None, last: 0, events: VecDeque::new(), _folder: folder };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", attach);
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Opens a page, and waits until it is whole; what happened before is forgotten.
    pub(crate) fn open(&mut self, page: &Path, look: Look) {
        let Look { width, dark, script } = look;
        let size = json!({ "width": width, "height": 844, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size);
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", media);
        self.call("Emulation.setScriptExecutionDisabled", json!({ "value": !script }));
        self.events.clear();
        self.call("Page.navigate", json!({ "url": "about:blank" }));
        self.wait_for("Page.loadEventFired");
        self.events.clear();
        self.call("Page.navigate", json!({ "url": format!("file://{}", page.display()) }));
        self.wait_for("Page.loadEventFired");
    }

    /// The value of an expression, waited for where it is a promise.
    #[track_caller]
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", asked);
        assert!(answer["exceptionDetails"].is_null(), "{expression}\n{answer:#}");
        answer["result"]["value"].clone()
    }

    /// Presses a key and lets it go.
    pub(crate) fn press(&mut self, key: &str, code: u32) {
        let text = if key == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let event = json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text });
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// Types where the focus is.
    pub(crate) fn type_text(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
    }

    /// What of this kind happened since the page was opened.
    pub(crate) fn events(&self, method: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["method"] == method).map(|event| &event["params"]).collect()
    }

    #[track_caller]
    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last += 1;
        let mut message = json!({ "id": self.last, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let answer = self.receive();
            if answer["id"] == self.last {
                assert!(answer["error"].is_null(), "{method}: {answer:#}");
                return answer["result"].clone();
            }
            self.events.push_back(answer);
        }
    }

    fn wait_for(&mut self, method: &str) {
        while self.events(method).is_empty() {
            let event = self.receive();
            self.events.push_back(event);
        }
    }

    fn receive(&mut self) -> Value {
        self.from.recv_timeout(HANGS).unwrap_or_else(|error| panic!("the browser says nothing: {error}"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It is to have written the last into its folder before that is taken away.
        let close = json!({ "id": self.last + 1, "method": "Browser.close" });
        if self.to.write_all(format!("{close}\0").as_bytes()).is_ok() {
            while self.from.recv_timeout(CLOSES).is_ok() {}
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
