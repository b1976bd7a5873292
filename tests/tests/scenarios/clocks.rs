//! A wall clock that jumps while letters wait: they are delivered or come back with a notice, and the gateway goes on.

use waxseal_tests::need::{self, Need};
use waxseal_tests::receiver::{Act, Stage};

use crate::world::{SOON, World, mail, world};

/// A gateway under a clock of the test's, with one letter that waits for its next attempt.
fn waiting_under_a_clock() -> Option<(World, String)> {
    if !need::all(&[Need::FakeTime]) {
        return None;
    }
    let mut world = world();
    world.gateway.terminate(SOON);
    world.gateway.fake_clock();
    world.gateway.start();
    world.dns.mx("example.com", 10, "mx.rcpt.test");
    world
        .receiver
        .script(|step| if step.stage == Stage::Rcpt { Act::Reply("451 4.3.0 later".into()) } else { Act::GoOn });
    let id = world.submit(&["someone@rcpt.test"], &mail("waits"));
    world.gateway.wait_for("message.deferred", &id);
    Some((world, id))
}

#[test]
fn after_a_jump_back_waiting_mail_does_not_wait_for_the_old_time() {
    let Some((world, id)) = waiting_under_a_clock() else { return };
    world.gateway.shift_clock("-10d");
    world.receiver.script(|_| Act::GoOn);
    world.gateway.wait_for("message.delivered", &id);
    world.submit(&["someone@rcpt.test"], &mail("after the jump"));
    world.arrived(2);
}

#[test]
fn after_a_jump_forward_nothing_is_lost() {
    let Some((world, id)) = waiting_under_a_clock() else { return };
    world.gateway.shift_clock("+30d");
    world.receiver.script(|_| Act::GoOn);
    // Its time is over by the new clock, or an attempt came first: either is right, silence is not.
    let ended = world
        .gateway
        .wait_event_of(&["message.delivered", "message.expired"], SOON, |event| event["id"] == id.as_str());
    assert!(ended["event"] == "message.delivered" || ended["notice"].is_string(), "{ended}");
    let after = world.submit(&["someone@rcpt.test"], &mail("after the jump"));
    world.gateway.wait_for("message.delivered", &after);
}
