//! Durations and sizes with units, for serde: `"10s"`, `"256MiB"`.

/// `#[serde(with = "units::duration")]`.
pub(super) mod duration {
    use std::time::Duration;

    use serde::de::{Deserialize as _, Deserializer, Error as _};

    /// Reads `10s`, `500ms`, `1h 30m`.
    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map_err(|_| {
            D::Error::custom(format!("`{text}` is not a duration; write for example \"10s\""))
        })
    }
}

/// `#[serde(with = "units::bytes")]`.
pub(super) mod bytes {
    use serde::de::{Deserialize, Deserializer, Error as _};

    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Size {
        Bytes(u64),
        Text(String),
    }

    /// Reads `256MiB`, `4GB` or a number of bytes.
    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<u64, D::Error> {
        let text = match Size::deserialize(deserializer)? {
            Size::Bytes(bytes) => return Ok(bytes),
            Size::Text(text) => text,
        };
        let size: Result<bytesize::ByteSize, _> = text.parse();
        size.map(|size| size.as_u64()).map_err(|_| {
            D::Error::custom(format!("`{text}` is not a size; write for example \"256MiB\""))
        })
    }
}
