//! librdkafka's settings: what the user gave, what this room prefers, and what
//! it insists on because answers would be wrong otherwise.
//!
//! It must never create a client.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;

use crate::stream::StreamError;

/// Settings that decide whether rows are lost or doubled; they cannot be given.
const DECIDED: [(&str, &str); 10] = [
    ("enable.auto.commit", "offsets are kept in the lake, never in a consumer group"),
    ("enable.auto.offset.store", "offsets are kept in the lake, never in a consumer group"),
    ("auto.offset.reset", "lost records must be an error, never a silent jump"),
    ("isolation.level", "records of aborted transactions must never be read"),
    ("enable.partition.eof", "positions are taken from it"),
    ("enable.idempotence", "a retry must never add a row twice"),
    ("transactional.id", "each process has ids of its own"),
    ("transaction.timeout.ms", "it bounds how long a crash holds readers up"),
    ("acks", "a row that was acknowledged must survive a broker"),
    ("bootstrap.servers", "give `bootstrap_servers` under [stream] instead"),
];

/// Other names that librdkafka has for some of them.
const ALIASES: [(&str, &str); 2] =
    [("request.required.acks", "acks"), ("metadata.broker.list", "bootstrap.servers")];

/// Preferred for all clients; the user's settings go first.
const ALL: [(&str, &str); 6] = [
    ("client.id", "springtide"),
    ("socket.nagle.disable", "true"),
    ("socket.keepalive.enable", "true"),
    ("reconnect.backoff.ms", "50"),
    ("reconnect.backoff.max.ms", "2000"),
    ("allow.auto.create.topics", "false"),
];

/// Preferred for readers: a row counts as soon as it is there, and what is
/// fetched ahead has a bound in bytes.
const READING: [(&str, &str); 7] = [
    ("group.id", "springtide"),
    ("fetch.min.bytes", "1"),
    ("fetch.wait.max.ms", "50"),
    ("fetch.error.backoff.ms", "50"),
    ("fetch.queue.backoff.ms", "5"),
    ("queued.max.messages.kbytes", "16384"),
    ("check.crcs", "true"),
];

/// Preferred for writers; keys go where Java's producers would put them.
const WRITING: [(&str, &str); 3] = [
    ("partitioner", "murmur2_random"),
    ("linger.ms", "0"),
    ("topic.metadata.propagation.max.ms", "5000"),
];

const INSISTED_READING: [(&str, &str); 5] = [
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    ("isolation.level", "read_committed"),
    ("enable.partition.eof", "true"),
];

/// A transaction that a crash left open is ended by the broker after this.
pub(super) const TRANSACTION_TIMEOUT_MS: &str = "15000";

const INSISTED_WRITING: [(&str, &str); 3] = [
    ("enable.idempotence", "true"),
    ("acks", "all"),
    ("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS),
];

#[derive(Clone, Debug)]
pub(super) struct Configuration {
    bootstrap_servers: String,
    settings: BTreeMap<String, String>,
}

impl Configuration {
    pub(super) fn new(
        bootstrap_servers: &str,
        settings: &BTreeMap<String, String>,
    ) -> Result<Self, StreamError> {
        for name in settings.keys() {
            let alias = ALIASES.iter().find(|(alias, _)| alias == name);
            let known = alias.map_or(name.as_str(), |(_, known)| known);
            if let Some((_, why)) = DECIDED.iter().find(|(decided, _)| *decided == known) {
                let reason = format!("cannot be set, because {why}; leave it out");
                return Err(StreamError::Setting { name: name.clone(), reason });
            }
        }
        let bootstrap_servers = bootstrap_servers.to_owned();
        Ok(Self { bootstrap_servers, settings: settings.clone() })
    }

    /// For readers.
    pub(super) fn reading(&self) -> ClientConfig {
        let mut config = self.with(&READING);
        set_all(&mut config, &INSISTED_READING);
        config
    }

    /// For questions about topics and offsets: without a group, so that no
    /// coordinator is asked for. Where a partition ends is its high watermark, not the
    /// last stable offset that readers stop at: a transaction that hangs is a lag (rule 14).
    pub(super) fn asking(&self) -> ClientConfig {
        let mut config = self.with(&[]);
        config.remove("group.id");
        set_all(&mut config, &INSISTED_READING);
        config.set("isolation.level", "read_uncommitted");
        config
    }

    /// For writers.
    pub(super) fn writing(&self, transactional_id: &str) -> ClientConfig {
        let mut config = self.with(&WRITING);
        set_all(&mut config, &INSISTED_WRITING);
        config.set("transactional.id", transactional_id);
        config
    }

    /// For the administration of topics.
    pub(super) fn admin(&self) -> ClientConfig {
        self.with(&[])
    }

    fn with(&self, preferred: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        set_all(&mut config, &ALL);
        set_all(&mut config, preferred);
        for (name, value) in &self.settings {
            config.set(name, value);
        }
        config.set("bootstrap.servers", &self.bootstrap_servers);
        config
    }
}

fn set_all(config: &mut ClientConfig, settings: &[(&str, &str)]) {
    for (name, value) in settings {
        config.set(*name, *value);
    }
}
