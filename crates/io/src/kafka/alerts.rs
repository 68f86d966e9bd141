//! Events on the alerts topic, in CloudEvents' binary mode: attributes in headers, data in the value.

use rdkafka::Message;
use rdkafka::message::{Header, Headers, OwnedHeaders};

use crate::encode::{CONTENT_TYPE, CloudEvent, SOURCE, SPEC_VERSION};

/// The attributes of an event.
pub fn headers(event: &CloudEvent) -> OwnedHeaders {
    let attributes = [
        ("content-type", CONTENT_TYPE),
        ("ce_specversion", SPEC_VERSION),
        ("ce_id", &event.id),
        ("ce_source", SOURCE),
        ("ce_type", &event.event_type),
        ("ce_subject", &event.subject),
        ("ce_time", &event.time),
    ];
    let told = attributes.into_iter().filter(|(_, value)| !value.is_empty());
    told.fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(value) }))
}

/// The event in a message; `None` if it holds none of ours.
pub fn event_of(message: &impl Message) -> Option<CloudEvent> {
    let headers = message.headers()?;
    let attribute = |name: &str| {
        let header = headers.iter().find(|header| header.key == name)?;
        String::from_utf8(header.value?.to_vec()).ok()
    };
    Some(CloudEvent {
        id: attribute("ce_id")?,
        event_type: attribute("ce_type")?,
        subject: attribute("ce_subject").unwrap_or_default(),
        time: attribute("ce_time")?,
        data: String::from_utf8(message.payload()?.to_vec()).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use rdkafka::Timestamp;
    use rdkafka::message::OwnedMessage;

    use super::*;

    #[test]
    fn an_event_comes_back_as_it_was_written() {
        let event = CloudEvent {
            id: "spotify-1".to_owned(),
            event_type: "groundswell.outage.started.v1".to_owned(),
            subject: "spotify".to_owned(),
            time: "2023-04-20T12:47:00Z".to_owned(),
            data: r#"{"observed":3,"ratio":0.1}"#.to_owned(),
        };
        let message = |headers| {
            let payload = Some(event.data.clone().into_bytes());
            OwnedMessage::new(payload, None, "alerts".to_owned(), Timestamp::NotAvailable, 0, 0, headers)
        };
        assert_eq!(event_of(&message(Some(headers(&event)))), Some(event.clone()));
        assert_eq!(event_of(&message(None)), None, "a message of somebody else is no event");
    }
}
