//! The figures: each with its unit, its peer, the ratio and what is wanted.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;

use super::fixture::Fixture;

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    /// Its name.
    pub(super) name: String,
    /// Its value.
    pub(super) value: f64,
    /// The unit of it and of the peer's.
    pub(super) unit: &'static str,
    /// What it is held against.
    pub(super) peer: String,
    /// The peer's value; `None` where the peer is a bound.
    pub(super) peer_value: Option<f64>,
    /// value ÷ the peer's value (or the bound).
    pub(super) ratio: f64,
    /// What the ratio must not be above, or below.
    pub(super) wanted: Wanted,
    /// Whether it is as wanted.
    pub(super) met: bool,
    /// More about it.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub(super) details: serde_json::Map<String, serde_json::Value>,
}

/// What a ratio must be.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Wanted {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
}

/// All figures of one run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// The form of this file.
    format: u32,
    /// The program's version.
    springtide: &'static str,
    /// Where and on what it was measured.
    machine: serde_json::Map<String, serde_json::Value>,
    /// The figures.
    figures: Vec<Figure>,
}

/// Durations of one thing, measured again and again.
#[derive(Clone, Debug, Default)]
pub(super) struct Samples(Vec<Duration>);

impl Samples {
    pub(super) fn add(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The smallest value that `percent` of the samples do not exceed, in milliseconds.
    pub(super) fn percentile_ms(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1).min(last);
        sorted.get(at).map_or(f64::NAN, |sample| sample.as_secs_f64() * 1e3)
    }

    pub(super) fn median_ms(&self) -> f64 {
        self.percentile_ms(50)
    }
}

impl Figure {
    /// A figure against a peer that was measured too.
    pub(super) fn against(
        name: impl Into<String>,
        unit: &'static str,
        (value, peer_value): (f64, f64),
        peer: impl Into<String>,
        wanted: Wanted,
    ) -> Self {
        let ratio = value / peer_value;
        Self {
            name: name.into(),
            value,
            unit,
            peer: peer.into(),
            peer_value: Some(peer_value),
            ratio,
            wanted,
            met: wanted.met_by(ratio),
            details: serde_json::Map::new(),
        }
    }

    /// A figure against a bound.
    pub(super) fn bounded(name: impl Into<String>, value_ms: f64, bound_ms: f64) -> Self {
        let mut figure =
            Self::against(name, "ms", (value_ms, bound_ms), "bound", Wanted::AtMost(1.0));
        figure.peer = format!("the bound of {bound_ms} ms");
        figure
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }
}

impl Wanted {
    fn met_by(self, ratio: f64) -> bool {
        match self {
            Self::AtMost(bound) => ratio <= bound,
            Self::AtLeast(bound) => ratio >= bound,
        }
    }
}

impl Report {
    pub(super) fn new() -> Self {
        let machine = serde_json::Map::new();
        Self { format: 1, springtide: env!("CARGO_PKG_VERSION"), machine, figures: Vec::new() }
    }

    pub(super) fn machine(&mut self, fixture: &Fixture) {
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        self.machine.insert("cores".to_owned(), cores.into());
        self.machine.insert("os".to_owned(), std::env::consts::OS.into());
        self.machine.insert("arch".to_owned(), std::env::consts::ARCH.into());
        self.machine.insert("data".to_owned(), fixture.data_name().into());
        self.machine.insert("rows".to_owned(), fixture.rows().into());
    }

    pub(super) fn add(&mut self, figure: Figure) {
        eprintln!("springtide bench: {}", line(&figure));
        self.figures.push(figure);
    }

    /// The figures for reading.
    pub(crate) fn table(&self) -> String {
        let mut text = String::from("\n");
        for figure in &self.figures {
            let _ = writeln!(text, "{}", line(figure));
        }
        text
    }

    /// Writes the figures as JSON.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let json = serde_json::to_string_pretty(self)?;
        std::fs::write(path, json + "\n")
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

fn line(figure: &Figure) -> String {
    let wanted = match figure.wanted {
        Wanted::AtMost(bound) => format!("≤ {bound}"),
        Wanted::AtLeast(bound) => format!("≥ {bound}"),
    };
    let peer = figure.peer_value.map_or_else(String::new, |value| format!("{value:.3}"));
    format!(
        "{:<34} {:>9.3} {:<6} against {peer:>9} ({}): ratio {:.2}, wanted {wanted}{}",
        figure.name,
        figure.value,
        figure.unit,
        figure.peer,
        figure.ratio,
        if figure.met { "" } else { "  ← missed" },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples() {
        let mut samples = Samples::default();
        for ms in (1..=100).rev() {
            samples.add(Duration::from_millis(ms));
        }
        assert!((samples.median_ms() - 50.0).abs() < 1e-9);
        assert!((samples.percentile_ms(99) - 99.0).abs() < 1e-9);
        assert!((samples.percentile_ms(100) - 100.0).abs() < 1e-9);
    }

    #[test]
    fn a_ratio_is_held_against_what_is_wanted() {
        let slow = Figure::against("q", "ms", (2.0, 1.0), "peer", Wanted::AtMost(1.5));
        assert!(!slow.met);
        let fast = Figure::against("h", "1/s", (7.0, 10.0), "peer", Wanted::AtLeast(0.6));
        assert!(fast.met);
    }
}
