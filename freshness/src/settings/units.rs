//! Durations and sizes as people write them: `10s`, `1h 30m`, `256MiB`. A plain
//! number is refused for a duration (of which unit?) and is bytes for a size. The whole
//! configuration reads them so.

/// `#[serde(with = "units::duration")]`.
pub mod duration {
    use std::time::Duration;

    use serde::de::{Deserialize as _, Deserializer, Error as _};

    /// Reads `10s`, `500ms`, `1h 30m`.
    ///
    /// # Errors
    /// Where it is no duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map_err(|_| {
            D::Error::custom(format!("`{text}` is not a duration; write for example \"10s\""))
        })
    }
}

/// `#[serde(with = "units::bytes")]`.
pub mod bytes {
    use serde::Deserialize;
    use serde::de::{Deserializer, Error as _};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Size {
        Bytes(u64),
        Text(String),
    }

    /// Reads `256MiB`, `4GB` or a number of bytes.
    ///
    /// # Errors
    /// Where it is no size.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        match Size::deserialize(deserializer)? {
            Size::Bytes(bytes) => Ok(bytes),
            Size::Text(text) => match text.parse::<bytesize::ByteSize>() {
                Ok(size) => Ok(size.as_u64()),
                Err(_) => {
                    let what = format!("`{text}` is not a size; write for example \"256MiB\"");
                    Err(D::Error::custom(what))
                }
            },
        }
    }
}
