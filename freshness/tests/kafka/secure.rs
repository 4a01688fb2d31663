//! SASL and TLS: what is set under `[stream.settings]` reaches a real broker, for
//! reading, asking and writing alike; what is refused is said to be.

use springtide_freshness::TableState;
use springtide_freshness::stream::{StreamError, StreamSource as _};
use springtide_protocol::OffsetMap;

use crate::broker::{self, Broker};
use crate::house::{House, tail_of};
use crate::{map, read_to, row, texts};

fn scram(password: &str) -> [(&str, &str); 4] {
    [
        ("security.protocol", "sasl_plaintext"),
        ("sasl.mechanisms", "SCRAM-SHA-256"),
        ("sasl.username", "alice"),
        ("sasl.password", password),
    ]
}

const OAUTH: [(&str, &str); 4] = [
    ("security.protocol", "sasl_plaintext"),
    ("sasl.mechanisms", "OAUTHBEARER"),
    ("enable.sasl.oauthbearer.unsecure.jwt", "true"),
    ("sasl.oauthbearer.config", "principal=alice"),
];

/// Writes, asks and reads by one listener; then a table does.
async fn serves(broker: &Broker, listener: &str, settings: &[(&str, &str)]) {
    let name = broker.topic(1).await;
    let topic = broker.secure(listener, settings).topic(&name);
    let ends = topic.produce(vec![row(r#"{"n":1}"#), row(r#"{"n":2}"#)], None).await.unwrap();
    assert_eq!(ends, map(&[(0, 2)]));
    assert!(!topic.describe().await.unwrap().topic_id.is_nil());
    let mut reader = topic.read_from(&OffsetMap::new()).await.unwrap();
    assert_eq!(texts(&read_to(reader.as_mut(), &ends).await), [r#"{"n":1}"#, r#"{"n":2}"#]);

    let address = broker.secure_address(listener);
    let house = House::new(&address, &name, settings).await;
    let pinned = house.pin_at_least(&[(0, 2)]).await.unwrap();
    assert_eq!(tail_of(&pinned), [1, 2]);
    house.until("live", |s| s.state == TableState::Live).await;
    assert_eq!(house.rows().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn scram_opens_the_stream_and_a_wrong_password_does_not() {
    let Some(broker) = broker::shared() else { return };
    serves(broker, "sasl", &scram("alice-secret")).await;
    let refused = broker.secure("sasl", &scram("not-hers")).topic("t").describe().await;
    let refused = refused.unwrap_err();
    assert!(matches!(refused, StreamError::Refused { .. }), "{refused:?}");
    let text = refused.to_string();
    assert!(text.contains("credentials") && !text.contains("not-hers"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_under_a_ca_of_ones_own_is_spoken_and_no_other_is_trusted() {
    let Some(broker) = broker::shared() else { return };
    let ca = broker.ca();
    serves(broker, "ssl", &[("security.protocol", "ssl"), ("ssl.ca.location", &ca)]).await;
    let refused = broker.secure("ssl", &[("security.protocol", "ssl")]).topic("t").describe().await;
    let refused = refused.unwrap_err();
    let StreamError::Refused { source } = refused else { panic!("{refused:?}") };
    assert!(source.to_string().contains("certificate"), "{source}");
}

#[tokio::test(flavor = "multi_thread")]
async fn oauthbearer_reaches_the_broker() {
    let Some(broker) = broker::shared() else { return };
    serves(broker, "sasl", &OAUTH).await;
}
