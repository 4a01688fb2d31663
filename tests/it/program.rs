//! The program as a child process, its folder and its configuration.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// A running server. It is killed with this value.
pub(crate) struct Server {
    child: Child,
    pub(crate) edge: String,
    pub(crate) origin: String,
}

/// A folder with a configuration in it.
pub(crate) struct House {
    pub(crate) folder: TempDir,
}

impl House {
    /// One table `flights` on the embedded journal, committed every 300 ms.
    pub(crate) fn journal() -> Self {
        Self::with("[stream]\ntype = \"journal\"\n")
    }

    /// The same with another `[stream]`, or more keys.
    pub(crate) fn with(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            r#"
dir = "state"
{more}
[[table]]
name = "flights"
identifier = "demo.flights"
topic = "flights"
columns = ["flight_id long", "date timestamp", "delay long", "distance long", "origin string", "destination string"]
partition_by = ["day(date)"]
commit = {{ every = "300ms" }}
"#
        );
        std::fs::write(folder.path().join("springtide.toml"), text).unwrap();
        std::fs::create_dir(folder.path().join("queries")).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Publishes a query.
    pub(crate) fn publish(&self, name: &str, text: &str) {
        std::fs::write(self.path().join("queries").join(format!("{name}.sql")), text).unwrap();
    }

    /// `springtide serve` on free ports.
    pub(crate) fn serve(&self) -> Server {
        Server::start(self.command(&["serve"]).args(FREE_PORTS))
    }

    /// A command of the program, in this folder.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = springtide(arguments);
        command.args(["--config", "springtide.toml"]).current_dir(self.path());
        command
    }
}

/// Listen wherever there is room.
pub(crate) const FREE_PORTS: [&str; 4] =
    ["--edge-listen", "127.0.0.1:0", "--origin-listen", "127.0.0.1:0"];

/// The built program.
pub(crate) fn springtide(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_springtide"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// The same command behind a line of shell, which runs it as `"$@"`.
pub(crate) fn shell(line: &str, command: &Command) -> Command {
    let mut shell = Command::new("bash");
    shell.args(["-c", line, "bash"]).arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        shell.current_dir(folder);
    }
    shell.stdin(Stdio::null());
    shell
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Output {
    command.output().unwrap()
}

/// What a command said on standard error.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

impl Server {
    /// Starts a server and waits for its ready line.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut stderr = child.stderr.take().unwrap();
        // Drained always, so that the server never waits for us; told where it fails.
        let told = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        if !line.starts_with("springtide ready") {
            let _ = child.kill();
            panic!("no ready line but `{line}`; it said:\n{}", told.join().unwrap());
        }
        let part = |name: &str| {
            let found = line.split_whitespace().find_map(|word| word.strip_prefix(name));
            found.unwrap_or_default().to_owned()
        };
        Self { edge: part("edge="), origin: part("origin="), child }
    }

    /// SIGTERM, then its exit status.
    pub(crate) fn stop(mut self) -> ExitStatus {
        let sent = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not stop");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends a soft limit of the size of its files.
    pub(crate) fn lift_file_limit(&self) {
        let pid = self.child.id().to_string();
        let lifted = Command::new("prlimit").args(["--fsize=unlimited", "--pid", &pid]).status();
        assert!(lifted.unwrap().success());
    }

    /// `kill -9`.
    pub(crate) fn crash(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Tries until it holds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
