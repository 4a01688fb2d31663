//! librdkafka's errors by what the caller should do. Pure.

use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

use crate::stream::StreamError;

/// Sorts an error that came up in `doing` something with `topic`.
pub(super) fn sorted(doing: &'static str, topic: &str, source: KafkaError) -> StreamError {
    if let KafkaError::ClientConfig(_, reason, name, value) = &source {
        let reason = format!("{reason} (given: `{value}`)");
        return StreamError::Setting { name: name.clone(), reason };
    }
    if let KafkaError::ClientCreation(reason) = &source {
        // librdkafka names the setting in its text.
        return StreamError::Setting { name: "[stream.settings]".into(), reason: reason.clone() };
    }
    let code = match &source {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    };
    match code.map(class) {
        Some(Class::Unreachable) => StreamError::Unreachable { source: source.into() },
        Some(Class::TopicMissing) => StreamError::TopicMissing { topic: topic.to_owned() },
        Some(Class::Refused) => StreamError::Refused { source: source.into() },
        Some(Class::Other) | None => StreamError::Internal { doing, source: source.into() },
    }
}

/// What a code asks of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// The broker cannot be reached or is not ready: librdkafka goes on trying.
    Unreachable,
    /// No such topic or partition.
    TopicMissing,
    /// Credentials or rights.
    Refused,
    /// Whatever else.
    Other,
}

pub(super) const fn class(code: Code) -> Class {
    match code {
        Code::BrokerTransportFailure
        | Code::AllBrokersDown
        | Code::Resolve
        | Code::OperationTimedOut
        | Code::TimedOutQueue
        | Code::MessageTimedOut
        | Code::WaitingForCoordinator
        | Code::NodeUpdate
        | Code::WaitCache
        | Code::RequestTimedOut
        | Code::LeaderNotAvailable
        | Code::NotLeaderForPartition
        | Code::BrokerNotAvailable
        | Code::ReplicaNotAvailable
        | Code::NetworkException
        | Code::CoordinatorLoadInProgress
        | Code::CoordinatorNotAvailable
        | Code::NotCoordinator
        | Code::NotEnoughReplicas
        | Code::NotEnoughReplicasAfterAppend
        | Code::KafkaStorageError
        | Code::FencedLeaderEpoch
        | Code::UnknownLeaderEpoch
        | Code::OffsetNotAvailable
        | Code::PreferredLeaderNotAvailable
        | Code::Retry => Class::Unreachable,
        Code::UnknownTopic
        | Code::UnknownTopicOrPartition
        | Code::UnknownPartition
        | Code::InvalidTopic => Class::TopicMissing,
        Code::Authentication
        | Code::SSL
        | Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::SaslAuthenticationFailed => Class::Refused,
        _ => Class::Other,
    }
}
