//! The resolved configuration as TOML; what is secret is not shown.

use figment::value::Dict;

use super::Loaded;

/// Keys whose values are nobody's business.
const SECRETS: [&str; 3] = ["admin_token", "password", "secret"];

/// The resolved configuration as TOML.
///
/// # Errors
/// Where a value has no TOML form.
pub(crate) fn print_resolved(loaded: &Loaded) -> Result<String, toml::ser::Error> {
    let mut resolved = loaded.resolved.clone();
    hide_secrets(&mut resolved);
    toml::to_string_pretty(&resolved)
}

fn hide_secrets(dict: &mut Dict) {
    for (key, value) in dict {
        let secret = SECRETS.iter().any(|secret| key.to_lowercase().contains(secret));
        match value {
            figment::value::Value::Dict(_, inner) => hide_secrets(inner),
            value if secret => *value = "…".into(),
            _ => {}
        }
    }
}
