//! The formats of an answer: the suffix of a path and its media type.

/// How an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// `{"meta":…,"data":…,"rows":n}`.
    #[default]
    Json,
    /// RFC 4180 with a header line.
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// An Arrow IPC stream.
    Arrow,
    /// A Parquet file.
    Parquet,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 5] = [Self::Json, Self::Csv, Self::Ndjson, Self::Arrow, Self::Parquet];

    /// The path's suffix.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
            Self::Arrow => "arrow",
            Self::Parquet => "parquet",
        }
    }

    /// The media type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Ndjson => "application/x-ndjson",
            Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// Splits a path's last segment into name and format: only a known suffix
    /// counts as one, else the whole is the name and the format JSON.
    #[must_use]
    pub fn split(segment: &str) -> (&str, Self) {
        let known = |suffix: &str| Self::ALL.into_iter().find(|f| f.suffix() == suffix);
        let split = segment.rsplit_once('.');
        let found = split.and_then(|(name, suffix)| Some((name, known(suffix)?)));
        found.unwrap_or((segment, Self::Json))
    }
}
