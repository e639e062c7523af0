//! A real browser, Chromium, driven by the `DevTools` protocol over two pipes
//! (<https://chromedevtools.github.io/devtools-protocol/>).

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::places;

/// How long the browser may take for one thing.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running browser with one page, killed when dropped.
#[derive(Debug)]
pub struct Browser {
    process: Child,
    requests: File,
    messages: Receiver<Value>,
    last_id: u64,
    session: String,
    /// What it told without being asked, in the order in which it came.
    told: VecDeque<Value>,
    _profile: TempDir,
}

impl Browser {
    /// Starts it without a window, with a profile of its own and nothing running in the background.
    pub fn start() -> anyhow::Result<Self> {
        let chromium = places::chromium().map_err(anyhow::Error::msg)?;
        let profile = tempfile::Builder::new().prefix("warrantd-browser-").tempdir()?;
        let (to, from) = (profile.path().join("to"), profile.path().join("from"));
        for pipe in [&to, &from] {
            mkfifo(pipe, Mode::S_IRUSR | Mode::S_IWUSR)?;
        }
        // It reads requests from descriptor 3 and writes to descriptor 4.
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", "exec 3<\"$1\" 4>\"$2\"; shift 2; exec \"$@\"", "sh"])
            .arg(&to)
            .arg(&from);
        shell.arg(chromium);
        shell.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]);
        shell.args(["--disable-background-networking", "--no-first-run", "--disable-sync"]);
        shell.args(["--hide-scrollbars", "--force-color-profile=srgb", "--remote-debugging-pipe"]);
        shell.arg(format!("--user-data-dir={}", profile.path().join("profile").display()));
        shell.arg("about:blank").env("HOME", profile.path());
        let process =
            shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = process.context("starting the browser")?;
        let requests = File::options().write(true).open(&to)?;
        let answers = File::open(&from)?;
        let (sender, messages) = mpsc::channel();
        thread::spawn(move || {
            for message in BufReader::new(answers).split(0).map_while(Result::ok) {
                let Ok(message) = serde_json::from_slice(&message) else { break };
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let mut browser = Self {
            process,
            requests,
            messages,
            last_id: 0,
            session: String::new(),
            told: VecDeque::new(),
            _profile: profile,
        };
        let target = browser.ask("Target.createTarget", &json!({"url": "about:blank"}))?;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.ask("Target.attachToTarget", &attach)?;
        attached["sessionId"].as_str().context("a session")?.clone_into(&mut browser.session);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.ask(&format!("{domain}.enable"), &json!({}))?;
        }
        Ok(browser)
    }

    /// Opens a file and waits until it is loaded.
    pub fn open(&mut self, file: &Path) -> anyhow::Result<()> {
        self.told.clear();
        let url = format!("file://{}", file.display());
        let navigated = self.ask("Page.navigate", &json!({"url": url}))?;
        ensure!(navigated.get("errorText").is_none(), "{url}: {navigated}");
        let deadline = Instant::now() + PATIENCE;
        while !self.told.iter().any(|told| told["method"] == "Page.loadEventFired") {
            ensure!(Instant::now() < deadline, "{url} is not loaded within {PATIENCE:?}");
            self.listen(Duration::from_millis(100))?;
        }
        // What a script does at once has been done by then, and complaints have come.
        self.listen(Duration::from_millis(200))
    }

    /// What an expression comes to in the page, as JSON. Promises are waited for.
    pub fn evaluate(&mut self, expression: &str) -> anyhow::Result<Value> {
        let parameters =
            json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.ask("Runtime.evaluate", &parameters)?;
        ensure!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        Ok(answer["result"]["value"].clone())
    }

    /// The page as wide and high as this, in light or dark.
    pub fn look(&mut self, width: u32, height: u32, dark: bool) -> anyhow::Result<()> {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.ask("Emulation.setDeviceMetricsOverride", &size)?;
        let scheme = if dark { "dark" } else { "light" };
        let feature = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.ask("Emulation.setEmulatedMedia", &json!({"features": feature}))?;
        Ok(())
    }

    /// Runs no script of pages that are opened from now on.
    pub fn without_script(&mut self) -> anyhow::Result<()> {
        self.ask("Emulation.setScriptExecutionDisabled", &json!({"value": true}))?;
        Ok(())
    }

    /// A picture of what is seen, as PNG in Base64.
    pub fn picture(&mut self) -> anyhow::Result<String> {
        let picture = self.ask("Page.captureScreenshot", &json!({"format": "png"}))?;
        Ok(picture["data"].as_str().context("a picture")?.to_owned())
    }

    /// What the page as printed is, as PDF in Base64.
    pub fn printed(&mut self) -> anyhow::Result<String> {
        let printed = self.ask("Page.printToPDF", &json!({"printBackground": true}))?;
        Ok(printed["data"].as_str().context("a document")?.to_owned())
    }

    /// Errors and warnings of the console, exceptions, dialogs: whatever a page should not cause.
    pub fn complaints(&mut self) -> anyhow::Result<Vec<String>> {
        self.listen(Duration::from_millis(100))?;
        let complaint = |told: &&Value| {
            let level = told["params"]["entry"]["level"].as_str().unwrap_or_default();
            match told["method"].as_str().unwrap_or_default() {
                "Runtime.exceptionThrown"
                | "Runtime.consoleAPICalled"
                | "Page.javascriptDialogOpening"
                | "Page.windowOpen" => true,
                "Log.entryAdded" => level != "verbose",
                _ => false,
            }
        };
        Ok(self.told.iter().filter(complaint).map(Value::to_string).collect())
    }

    /// What the page has loaded, by URL.
    pub fn loaded(&self) -> Vec<String> {
        let sent = self.told.iter().filter(|told| told["method"] == "Network.requestWillBeSent");
        let url = |told: &Value| told["params"]["request"]["url"].as_str().map(str::to_owned);
        sent.filter_map(url).collect()
    }

    /// Sends a request and waits for its answer.
    fn ask(&mut self, method: &str, parameters: &Value) -> anyhow::Result<Value> {
        self.last_id += 1;
        let id = self.last_id;
        let mut request = json!({"id": id, "method": method, "params": parameters});
        if !self.session.is_empty() {
            request["sessionId"] = self.session.as_str().into();
        }
        let mut bytes = serde_json::to_vec(&request)?;
        bytes.push(0);
        self.requests.write_all(&bytes).context("the browser does not listen")?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            ensure!(Instant::now() < deadline, "{method} has no answer within {PATIENCE:?}");
            match self.messages.recv_timeout(PATIENCE) {
                Ok(answer) if answer["id"] == id => {
                    ensure!(answer.get("error").is_none(), "{method}: {answer}");
                    return Ok(answer["result"].clone());
                }
                Ok(told) => self.told.push_back(told),
                Err(error) => bail!("{method}: the browser says nothing more: {error}"),
            }
        }
    }

    /// Takes what is told within some time.
    fn listen(&mut self, time: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + time;
        loop {
            match self.messages.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(told) => self.told.push_back(told),
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => bail!("the browser has ended"),
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its processes end with it when it is asked, and not always when it is killed.
        self.session.clear();
        let _ = self.ask("Browser.close", &json!({}));
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline && matches!(self.process.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
