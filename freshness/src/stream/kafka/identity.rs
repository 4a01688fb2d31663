//! Whether what a reader fetched is of the topic that it is to read. librdkafka
//! goes on at its offset when a topic of the same name takes the place of the one
//! it reads, and tells nobody; offsets then mean something else.
//!
//! An id never comes again: where the broker tells the expected one after records
//! were fetched, they are of that topic. Blocking; it must never read a record.

use std::time::{Duration, Instant};

use rdkafka::client::{Client, ClientContext};
use rdkafka::error::KafkaError;
use uuid::Uuid;

use super::failure::Class;
use super::{QUERY_TIMEOUT, failure, native};
use crate::stream::{StreamError, TopicDescription};

/// The least time between two questions: records are gathered meanwhile.
const PAUSE: Duration = Duration::from_millis(5);
/// How long a broker that does not answer is left alone.
const RETRY: Duration = Duration::from_millis(100);

/// The topic that is to be read.
#[derive(Debug)]
pub(super) struct Identity {
    topic: String,
    /// `None`: whichever has the name.
    expected: Option<Uuid>,
    asked: Option<Instant>,
}

impl Identity {
    pub(super) fn new(topic: &str, expected: Option<Uuid>) -> Self {
        Self { topic: topic.to_owned(), expected, asked: None }
    }

    /// How long the next question is put off.
    pub(super) fn pause(&self) -> Duration {
        let since = self.asked.filter(|_| self.expected.is_some()).map(|asked| asked.elapsed());
        since.map_or(Duration::ZERO, |since| PAUSE.saturating_sub(since))
    }

    /// Asks until the broker has told; gives up, without an error, where `is_abandoned`.
    ///
    /// # Errors
    /// [`StreamError::TopicRecreated`], [`StreamError::TopicMissing`], or what will not pass.
    pub(super) fn confirm<C: ClientContext>(
        &mut self,
        client: &Client<C>,
        is_abandoned: impl Fn() -> bool,
    ) -> Result<(), StreamError> {
        let Some(expected) = self.expected else { return Ok(()) };
        while !is_abandoned() {
            let told = native::describe_topic(client, &self.topic, QUERY_TIMEOUT);
            self.asked = Some(Instant::now());
            match told {
                Ok(told) if told.id == expected => return Ok(()),
                // A broker without ids: nothing can be told apart.
                Ok(told) if told.id.is_nil() => return Ok(()),
                Ok(told) => return self.described(told.id).expect(expected),
                Err(code) if failure::class(code) == Class::Unreachable => {
                    std::thread::sleep(RETRY);
                }
                Err(code) => {
                    let source = KafkaError::AdminOp(code);
                    return Err(failure::sorted("asking for a topic's id", &self.topic, source));
                }
            }
        }
        Ok(())
    }

    fn described(&self, topic_id: Uuid) -> TopicDescription {
        let (topic, cluster) = (self.topic.clone(), String::new());
        TopicDescription { topic, topic_id, cluster, watermarks: std::collections::BTreeMap::new() }
    }
}
