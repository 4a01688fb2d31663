//! A real Kafka broker for these tests, by `tests/services/kafka.sh`, and a
//! client of it that is not ours. It must never know what is tested.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use springtide_freshness::stream::Kafka;

const PATIENCE: Duration = Duration::from_secs(30);

/// A broker that is stopped with this process at the latest.
pub(crate) struct Broker {
    folder: PathBuf,
    address: String,
}

/// The broker that most tests share. `None` where `SPRINGTIDE_TEST_SERVICES=none`.
pub(crate) fn shared() -> Option<&'static Broker> {
    static SHARED: OnceLock<Option<Broker>> = OnceLock::new();
    SHARED.get_or_init(own).as_ref()
}

/// A broker for one test, to be paused at will.
#[expect(clippy::disallowed_methods, reason = "whoever runs the tests says so here")]
pub(crate) fn own() -> Option<Broker> {
    if std::env::var("SPRINGTIDE_TEST_SERVICES").as_deref() == Ok("none") {
        eprintln!("left out: SPRINGTIDE_TEST_SERVICES=none, so no Kafka broker is started");
        return None;
    }
    static STARTED: AtomicU32 = AtomicU32::new(0);
    let number = STARTED.fetch_add(1, Ordering::SeqCst);
    let process = std::process::id();
    let folder = std::env::temp_dir().join(format!("springtide-kafka-{process}-{number}"));
    let address = script("start", &folder, &[&process.to_string()]);
    Some(Broker { folder, address })
}

/// Runs the script and returns what it printed; a failure tells what is missing.
fn script(command: &str, folder: &Path, more: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/services/kafka.sh");
    let ran = Command::new(script).arg(command).arg(folder).args(more).output().unwrap();
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "the Kafka broker of the tests ({command}):\n{told}");
    String::from_utf8(ran.stdout).unwrap().trim().to_owned()
}

impl Broker {
    /// Our client.
    pub(crate) fn kafka(&self, settings: &[(&str, &str)]) -> Kafka {
        let settings = settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        // A broker that has just started makes the topic of transactions first.
        Kafka::connect(&self.address, &settings).unwrap().with_produce_wait(PATIENCE)
    }

    /// Stops the broker at once, as a crash would.
    pub(crate) fn pause(&self) {
        script("pause", &self.folder, &[]);
    }

    /// Starts it again.
    pub(crate) fn resume(&self) {
        script("resume", &self.folder, &[]);
    }

    /// `HOST:PORT` of the plain listener.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Our client of another listener: `sasl` or `ssl`.
    pub(crate) fn secure(&self, listener: &str, settings: &[(&str, &str)]) -> Kafka {
        let settings = settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let address = self.secure_address(listener);
        Kafka::connect(&address, &settings).unwrap().with_produce_wait(PATIENCE)
    }

    /// `HOST:PORT` of another listener.
    pub(crate) fn secure_address(&self, listener: &str) -> String {
        let file = self.folder.join(format!("address.{listener}"));
        std::fs::read_to_string(file).unwrap().trim().to_owned()
    }

    /// The CA that its certificate is under.
    pub(crate) fn ca(&self) -> String {
        self.folder.join("ca.pem").to_str().unwrap().to_owned()
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.address);
        config
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().unwrap()
    }

    /// A new topic with a name of its own.
    pub(crate) async fn topic(&self, partitions: i32) -> String {
        let name = format!("t-{}", uuid::Uuid::new_v4());
        self.create(&name, partitions).await;
        name
    }

    /// A new topic of one partition with settings of its own.
    pub(crate) async fn topic_with(&self, settings: &[(&str, &str)]) -> String {
        let name = format!("t-{}", uuid::Uuid::new_v4());
        self.create_with(&name, 1, settings).await;
        name
    }

    pub(crate) async fn create(&self, name: &str, partitions: i32) {
        self.create_with(name, partitions, &[]).await;
    }

    async fn create_with(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let topic = settings.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let made = self.admin().create_topics([&topic], &options).await.unwrap();
        made[0].as_ref().unwrap();
    }

    /// Gives a topic these settings, and no others.
    pub(crate) async fn alter(&self, name: &str, settings: &[(&str, &str)]) {
        let config = AlterConfig::new(ResourceSpecifier::Topic(name));
        let config = settings.iter().fold(config, |config, (key, value)| config.set(key, value));
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let altered = self.admin().alter_configs([&config], &options).await.unwrap();
        altered[0].as_ref().unwrap();
    }

    pub(crate) async fn delete(&self, name: &str) {
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let gone = self.admin().delete_topics(&[name], &options).await.unwrap();
        gone[0].as_ref().unwrap();
    }

    pub(crate) async fn grow(&self, name: &str, partitions: usize) {
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let more = NewPartitions::new(name, partitions);
        let grown = self.admin().create_partitions([&more], &options).await.unwrap();
        grown[0].as_ref().unwrap();
    }

    /// Deletes records of partition 0 below `before`, as retention would.
    pub(crate) async fn delete_records(&self, name: &str, before: i64) {
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(name, 0, Offset::Offset(before)).unwrap();
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        self.admin().delete_records(&offsets, &options).await.unwrap();
    }

    /// A producer that is not ours; with an id it has transactions.
    pub(crate) fn producer(&self, transactional_id: Option<&str>) -> BaseProducer {
        let mut config = self.client();
        if let Some(id) = transactional_id {
            config.set("transactional.id", id);
        }
        let producer: BaseProducer = config.create().unwrap();
        if transactional_id.is_some() {
            // The first one finds the coordinator still loading for a moment.
            producer.init_transactions(PATIENCE).unwrap();
        }
        producer
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        script("stop", &self.folder, &[]);
    }
}

/// Sends numbers from `rows` as rows of a table with the column `n`.
pub(crate) fn send_rows(
    producer: &BaseProducer,
    topic: &str,
    partition: i32,
    rows: impl IntoIterator<Item = i64>,
) {
    let rows: Vec<String> = rows.into_iter().map(|n| format!(r#"{{"n":{n}}}"#)).collect();
    send(producer, topic, partition, &rows.iter().map(String::as_str).collect::<Vec<_>>());
}

/// Sends values to a partition and waits until the broker has them.
pub(crate) fn send(producer: &BaseProducer, topic: &str, partition: i32, values: &[&str]) {
    for value in values {
        let record = BaseRecord::<(), str>::to(topic).partition(partition).payload(*value);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}
