//! A receiver that stalls, closes, babbles or lies at every stage of the conversation: enumerated, not hoped for.
//! In each case the mail arrives in the end, once, unless the cut came after the final dot.

use std::sync::Mutex;
use std::time::Duration;

use waxseal_tests::receiver::{Act, Receiver, STAGES, Stage};
use waxseal_tests::tls::Authority;

use crate::world::{mail, world_with};

fn faults() -> Vec<(&'static str, Act)> {
    vec![
        ("closes", Act::Close),
        ("says 421", Act::Reply("421 4.3.2 closing".into())),
        ("says 451", Act::Reply("451 4.3.0 later".into())),
        ("answers with an empty line", Act::Reply(String::new())),
        ("answers with no number", Act::Reply("hello there".into())),
        ("answers with a wrong class", Act::Reply("199 odd".into())),
        ("babbles binary", Act::Babble((0..=255_u8).cycle().take(4096).chain(*b"\r\n").collect())),
        ("answers without end", Act::Babble(b"250-more\r\n".repeat(50_000))),
        ("sends a line without end", Act::Babble(vec![b'2'; 1 << 20])),
    ]
}

/// A receiver with STARTTLS that misbehaves once, at one stage.
fn misbehaving(stage: Stage, fault: &Act) -> Receiver {
    let certified = Authority::new().certify(&["mx.rcpt.test"]);
    let extensions = ["8BITMIME", "SIZE 1000000", "DSN"];
    let receiver = Receiver::start_at(([127, 0, 0, 1], 0).into(), Some(certified), &extensions).unwrap();
    let once = Mutex::new(Some(fault.clone()));
    receiver.script(move |step| {
        let fault = if step.stage == stage { once.lock().unwrap().take() } else { None };
        fault.unwrap_or(Act::GoOn)
    });
    receiver
}

#[test]
fn whatever_goes_wrong_once_the_mail_arrives_exactly_once() {
    let cases: Vec<(Stage, &str, Act)> =
        STAGES.into_iter().flat_map(|stage| faults().into_iter().map(move |(name, act)| (stage, name, act))).collect();
    let receivers: Vec<Receiver> = cases.iter().map(|(stage, _, act)| misbehaving(*stage, act)).collect();
    let world = world_with(|setup| {
        for (number, receiver) in receivers.iter().enumerate() {
            let host = receiver.address();
            setup.tables(&format!("\n[[delivery.route]]\ndomain = \"case{number}.test\"\nhost = \"{host}\"\n"));
        }
    });
    for number in 0..cases.len() {
        world.submit(&[&format!("someone@case{number}.test")], &mail(&format!("case {number}")));
    }
    for ((stage, name, _), receiver) in cases.iter().zip(&receivers) {
        let arrived = receiver.wait_for(1, Duration::from_mins(1));
        // After the final dot the receiver may have taken it though its answer was lost or not understood.
        let unavoidable = *stage == Stage::FinalReply || *stage == Stage::Content;
        assert!(arrived.len() == 1 || unavoidable, "{stage:?} {name}: arrived {} times", arrived.len());
    }
    let bounced =
        world.gateway.events().into_iter().filter(|event| event["event"] == "message.bounced").collect::<Vec<_>>();
    assert!(bounced.is_empty(), "a passing fault became a bounce: {bounced:#?}");
}

#[test]
fn a_receiver_that_stalls_at_any_stage_holds_nobody_up() {
    let receivers: Vec<Receiver> = STAGES.into_iter().map(|stage| misbehaving(stage, &Act::Stall)).collect();
    let world = world_with(|setup| {
        for (number, receiver) in receivers.iter().enumerate() {
            let host = receiver.address();
            setup.tables(&format!("\n[[delivery.route]]\ndomain = \"case{number}.test\"\nhost = \"{host}\"\n"));
        }
    });
    for number in 0..receivers.len() {
        world.submit(&[&format!("someone@case{number}.test")], &mail(&format!("stall {number}")));
    }
    world.submit(&["someone@rcpt.test"], &mail("passes the stalled ones"));
    world.arrived(1);
}

#[test]
fn a_reply_lost_after_the_final_dot_repeats_the_mail_and_loses_none() {
    let receiver = misbehaving(Stage::FinalReply, &Act::TakeAndClose);
    let world = world_with(|setup| {
        setup.route_all(receiver.address());
    });
    let id = world.submit(&["someone@rcpt.test"], &mail("taken twice"));
    world.gateway.wait_for("message.delivered", &id);
    assert_eq!(receiver.arrived().len(), 2);
}

#[test]
fn a_421_on_a_reused_connection_is_no_failure() {
    let receiver = Receiver::start().unwrap();
    receiver.script(|step| {
        let reused = step.stage == Stage::Mail && step.transactions > 0;
        if reused { Act::Reply("421 4.7.0 one mail a connection".into()) } else { Act::GoOn }
    });
    let world = world_with(|setup| {
        setup.route_all(receiver.address());
    });
    for number in 0..3 {
        let id = world.submit(&["someone@rcpt.test"], &mail(&format!("reuse {number}")));
        let event = world.gateway.wait_for("message.delivered", &id);
        assert_eq!(event["attempt"], 1, "a fresh connection would have served: {event}");
    }
}
