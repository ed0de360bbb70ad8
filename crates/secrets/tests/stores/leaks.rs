//! No value in what this crate and everything below it traces, shows or says, at the most talkative level there is.

use std::fmt;
use std::sync::{Arc, Mutex};

use provision_secrets::{Item, SecretValue, Source};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::scene::{KEYS, aws, planned, scene};

/// Keeps every word of every trace.
#[derive(Clone, Default)]
struct Everything(Arc<Mutex<String>>);

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        *self.0 += &format!(" {field}={value:?}");
    }
}

impl Subscriber for Everything {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut text = self.0.lock().unwrap();
        *text += span.metadata().target();
        span.record(&mut Fields(&mut text));
        text.push('\n');
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut Fields(&mut self.0.lock().unwrap()));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = self.0.lock().unwrap();
        *text += event.metadata().target();
        event.record(&mut Fields(&mut text));
        text.push('\n');
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// A value that occurs nowhere else; with what JSON, base64 and percent-encoding make of it.
const CANARY: &str = "canary+7f3a9c51/e2\"d8";

#[test]
fn nothing_is_traced_of_any_value() {
    scene("leaks::nothing_is_traced_of_any_value", &KEYS, |scene| async move {
        let everything = Everything::default();
        tracing::subscriber::set_global_default(everything.clone()).unwrap();
        scene.create("token", "first").await;
        scene.create("plain", CANARY).await;
        let taken_so_far = everything.0.lock().unwrap().len();
        let stores = scene.stores();
        let put = stores
            .put(&aws("token"), SecretValue::new(CANARY.as_bytes().to_vec()))
            .await;
        assert!(put.is_ok());
        let command = Item {
            source: Source::Command {
                argv: vec!["printf".to_owned(), "%s".to_owned(), CANARY.to_owned()],
            },
            key: None,
        };
        let wanted = planned(&stores, [aws("token"), aws("plain")]).await;
        let values = stores.values(&wanted).await;
        assert_eq!(values[&aws("plain")].as_ref().unwrap().expose(), CANARY.as_bytes());
        let more = stores.versions(&[command].into()).await;
        scene.aws.fail("PutSecretValue", None, "AccessDeniedException", "no", 1);
        let failed = stores
            .put(&aws("token"), SecretValue::new(CANARY.as_bytes().to_vec()))
            .await;
        let shown = format!("{values:?} {more:?} {failed:?} {stores:?}");
        // Of the command only its own arguments have it, which is what they are: whoever writes a secret there has given it away.
        let shown = shown.replace(&format!("{CANARY:?}"), "argument");
        let traced = everything.0.lock().unwrap().split_off(taken_so_far);
        assert!(
            traced.contains("aws_smithy") && traced.len() > 10_000,
            "this subscriber sees too little: {}",
            traced.len()
        );
        for part in ["7f3a9c51", "Y2FuYXJ5", "canary-credential"] {
            for (what, text) in [("shown", &shown), ("traced", &traced)] {
                if let Some(at) = text.find(part) {
                    let line = text[..at].rfind('\n').map_or(0, |start| start + 1);
                    panic!("{part} is {what}: {}", &text[line..(at + 60).min(text.len())]);
                }
            }
        }
    });
}
