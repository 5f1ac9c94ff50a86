//! The parts of a new vCon: parties, dialogs, attachments, analyses, and their content, with every parameter of the draft.
//!
//! A part becomes the members of its object. [`VconBuilder`](crate::vcon::build::builder::VconBuilder) and [`Vcon`](crate::vcon::document::vcon::Vcon) take them, and
//! whatever else is wanted can be put beside them first: a part never says what is not known.

pub(super) mod builder;
mod content;
mod dialog;
mod item;
mod party;

pub use content::NewContent;
pub use dialog::{Disposition, NewDialog, PartyEvent, Session, Transfer};
pub use item::{NewAnalysis, NewAttachment};
pub use party::{CivicAddress, NewParty, PartyKind};

use serde_json::Value;

/// One index stands alone, several are a list: both are the draft's.
fn indices(indices: &[usize]) -> Value {
    match indices {
        [one] => (*one).into(),
        several => several.to_vec().into(),
    }
}

macro_rules! members {
    ($part:ident) => {
        impl $part {
            /// Puts any other member in.
            #[must_use]
            pub fn member(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
                self.0.insert(name.to_owned(), value.into());
                self
            }
        }

        impl From<$part> for serde_json::Map<String, serde_json::Value> {
            fn from(part: $part) -> Self {
                part.0
            }
        }
    };
}
use members;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::vcon::build::builder::VconBuilder;

    use crate::vcon::document::content::ContentHash;

    use crate::vcon::document::uuid8::uuid8;

    use super::*;
    use crate::clock::parse_time;
    use crate::vcon::validation::validate;

    #[test]
    fn whatever_is_built_keeps_every_rule() {
        let now = parse_time("2026-07-01T12:00:00Z").unwrap();
        let hash = ContentHash::of(b"recording");
        let mut builder = VconBuilder::new(uuid8("example.com", now), now);
        let address = CivicAddress::default().part("country", "AT").part("A3", "Vienna");
        let ann = builder.add_party(
            NewParty::named("Ann")
                .validated_by("account number")
                .tel("+12025550100")
                .sip("ann@example.com")
                .mailto("ann@example.com")
                .did("did:web:example.com")
                .stir("e30.e30.AA")
                .position(48.2, 16.37)
                .civic_address(address)
                .uuid("7c1e9f4e-2f6b-4a6d-9b5c-0b6b5f1f2a10")
                .of_kind(PartyKind::Person)
                .organization("Example Ltd")
                .department("Support"),
        );
        let bob = builder.add_party(NewParty::anonymous());
        let bot = builder.add_party(NewParty::unknown().of_kind(PartyKind::Bot).member("nickname", "Robby"));
        let local = Session { local: uuid8("example.com", now), remote: uuid8("example.org", now) };
        let recording = builder.add_dialog(
            NewDialog::recording(now, NewContent::external("https://x.example/1", &hash).mediatype("audio/ogg"))
                .channels(&[Some(&[ann]), Some(&[bob, bot]), None])
                .originator(bob)
                .sessions(&[Some(&[Some(local)]), Some(&[None, Some(local)]), None])
                .lasted(61.5)
                .event(PartyEvent::Join, ann, now)
                .event(PartyEvent::KeyDown("5".into()), bob, now)
                .of_set(4)
                .filename("call.ogg")
                .application("Example Phone"),
        );
        let text = builder.add_dialog(
            NewDialog::text(now, NewContent::text("Hello")).parties(&[bob]).message_id("1@example.com").session(local),
        );
        builder.add_dialog(NewDialog::incomplete(now, Disposition::HungUp).parties(&[ann, bob]));
        let transfer = Transfer {
            transferee: bob,
            transferor: ann,
            transfer_target: vec![bot],
            original: vec![recording],
            consultation: vec![2],
            target_dialog: vec![5],
        };
        builder.add_dialog(NewDialog::transfer(now, &transfer));
        builder.add_dialog(NewDialog::recording_set(now, &[recording]).parties(&[ann, bob, bot]).lasted(70.0));
        builder.add_dialog(NewDialog::unknown());
        let note = builder.add_attachment(
            NewAttachment::new(ann, text, now, NewContent::bytes("application/pdf", b"%PDF"))
                .purpose("note")
                .filename("a.pdf"),
        );
        builder.add_analysis(
            NewAnalysis::new("summary", "Example Ltd", NewContent::json(json!({ "mood": "good" })))
                .of_dialogs(&[recording, text])
                .of_attachments(&[note])
                .product("Summer")
                .schema("mood/1"),
        );
        builder.subject("A call").extension("x").critical("y").amends("019f15a6-a752-826f-b9a2-279e0d16bc45");
        let vcon = builder.build();
        assert_eq!(validate(&vcon), []);
        let document = vcon.document();
        assert_eq!(document["parties"][0]["civicaddress"], json!({ "country": "AT", "a3": "Vienna" }));
        assert_eq!(document["dialog"][0]["parties"], json!([0, [1, 2], Value::Null]));
        assert_eq!(document["dialog"][0]["session_id"][1][0], json!({}));
        assert_eq!(document["dialog"][0]["party_history"][1]["button"], "5");
        assert_eq!(document["attachments"][0]["body"], "JVBERg");
        assert_eq!((&document["extensions"], &document["critical"]), (&json!(["x", "y"]), &json!(["y"])));
    }
}
