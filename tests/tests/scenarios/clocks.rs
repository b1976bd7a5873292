//! A wall clock that jumps while letters wait: none is given up or forgotten for it, and the gateway goes on.

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
fn a_clock_that_is_wrong_for_a_moment_expires_nothing() {
    let Some((world, id)) = waiting_under_a_clock() else { return };
    world.gateway.shift_clock("+30d");
    world.receiver.script(|_| Act::GoOn);
    world.gateway.wait_event("gateway.state", SOON, |event| event["state"] == "clock-jump");
    // New mail is served by the new time.
    let after = world.submit(&["someone@rcpt.test"], &mail("during the jump"));
    world.gateway.wait_for("message.delivered", &after);
    world.gateway.shift_clock("+0");
    world.gateway.wait_for("message.delivered", &id);
    let expired = world.gateway.events().into_iter().filter(|event| event["event"] == "message.expired").count();
    assert_eq!(expired, 0, "a wrong clock gave a letter up");
}
