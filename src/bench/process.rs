//! Processes that a measurement starts for itself, and the processor time that
//! they use. What it starts, it stops.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// Linux counts processor time in hundredths of a second (USER_HZ).
const TICKS_PER_SECOND: u64 = 100;

/// A running program of our own; it ends with this value.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    lines: mpsc::UnboundedReceiver<String>,
}

impl Process {
    /// Starts this program again, on one core where the system lets us choose.
    pub(super) fn start(arguments: &[&str], core: usize) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("where is this program?")?;
        let mut command = match pinned(core) {
            Some(mut taskset) => {
                taskset.arg(&program);
                taskset
            }
            None => Command::new(&program),
        };
        let mut child = command
            .args(arguments)
            .env("TOKIO_WORKER_THREADS", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a process to measure")?;
        let stdout = child.stdout.take().context("the process has no output")?;
        let (sender, lines) = mpsc::unbounded_channel();
        // Our own parts print a line or two; the thread ends with the process.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, lines })
    }

    /// The next line that it prints.
    pub(super) async fn line(&mut self) -> anyhow::Result<String> {
        self.lines.recv().await.context("a process that is measured ended early")
    }

    /// The processor time that it has used so far.
    pub(super) fn processor_time(&self) -> anyhow::Result<Duration> {
        let id = self.child.id();
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))
            .context("processor time is only told on Linux")?;
        // The second field is the program's name in parentheses; it may hold spaces.
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
        let (user, system) = ticks(11).zip(ticks(12)).context("/proc/…/stat has another form")?;
        Ok(Duration::from_millis((user + system) * 1000 / TICKS_PER_SECOND))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `taskset`, where the machine has it and more than one core.
fn pinned(core: usize) -> Option<Command> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let exists = Path::new("/usr/bin/taskset").exists();
    (exists && cores > core).then(|| {
        let mut command = Command::new("/usr/bin/taskset");
        command.args(["-c", &core.to_string()]);
        command
    })
}

/// Serves a file's bytes by the bare responder; prints its URL.
pub(super) async fn bare(file: &str) -> anyhow::Result<()> {
    let body = std::fs::read(file).with_context(|| format!("cannot read {file}"))?;
    ensure!(!body.is_empty(), "{file} is empty");
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}/", listener.local_addr()?);
    springtide_edge::bare::serve(listener, "application/json".parse()?, Bytes::from(body)).await?;
    Ok(())
}
