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

/// The event in a message; `None` if it holds none of ours. Others may write to the topic, too, and what they write need
/// not even be text.
pub fn event_of(message: &impl Message) -> Option<CloudEvent> {
    let headers = message.headers()?;
    let attribute = |name: &str| {
        let header = headers.iter().find(|header| header.key == name)?;
        String::from_utf8(header.value?.to_vec()).ok()
    };
    if attribute("ce_source")? != SOURCE {
        return None;
    }
    let data = String::from_utf8(message.payload()?.to_vec()).ok()?;
    serde_json::from_str::<&serde_json::value::RawValue>(&data).ok()?;
    Some(CloudEvent {
        id: attribute("ce_id")?,
        event_type: attribute("ce_type")?,
        subject: attribute("ce_subject").unwrap_or_default(),
        time: attribute("ce_time")?,
        data,
    })
}

#[cfg(test)]
mod tests {
    use rdkafka::Timestamp;
    use rdkafka::message::OwnedMessage;

    use super::*;

    fn event() -> CloudEvent {
        CloudEvent {
            id: "spotify-1".to_owned(),
            event_type: "groundswell.outage.started.v1".to_owned(),
            subject: "spotify".to_owned(),
            time: "2023-04-20T12:47:00Z".to_owned(),
            data: r#"{"observed":3,"ratio":0.1}"#.to_owned(),
        }
    }

    fn message(payload: Option<&[u8]>, headers: Option<OwnedHeaders>) -> OwnedMessage {
        let payload = payload.map(<[u8]>::to_vec);
        OwnedMessage::new(payload, None, "alerts".to_owned(), Timestamp::NotAvailable, 0, 0, headers)
    }

    #[test]
    fn an_event_comes_back_as_it_was_written() {
        let event = event();
        let found = event_of(&message(Some(event.data.as_bytes()), Some(headers(&event))));
        assert_eq!(found, Some(event));
    }

    #[test]
    fn an_event_about_no_service_comes_back_without_a_subject() {
        let event = CloudEvent { subject: String::new(), ..event() };
        assert_eq!(event_of(&message(Some(event.data.as_bytes()), Some(headers(&event)))), Some(event));
    }

    #[test]
    fn a_message_of_somebody_else_is_no_event() {
        let ours = headers(&event());
        let only_theirs =
            OwnedHeaders::new_with_capacity(1).insert(Header { key: "ce_source", value: Some("other") });
        for (what, message) in [
            ("no headers", message(Some(b"{}"), None)),
            ("headers of another kind", message(Some(b"{}"), Some(only_theirs))),
            ("no value", message(None, Some(ours.clone()))),
            ("a value that is no text", message(Some(b"\xff"), Some(ours.clone()))),
            ("a value that is no JSON", message(Some(b"{"), Some(ours))),
        ] {
            assert_eq!(event_of(&message), None, "{what}");
        }
    }
}
