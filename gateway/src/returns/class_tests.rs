use proptest::prelude::*;

use super::*;

fn class(line: &str) -> (Category, Again) {
    let code: Option<u16> = line.get(..3).and_then(|code| code.parse().ok());
    let text = line.get(4..).unwrap_or_default();
    let numbers: Vec<u16> =
        text.split(' ').next().unwrap_or_default().split('.').filter_map(|n| n.parse().ok()).collect();
    let status = match numbers[..] {
        [class, subject, detail] => Some((class as u8, subject, detail)),
        _ => None,
    };
    let class = classify(code, status, text);
    (class.category, class.again)
}

#[test]
fn what_servers_say_is_understood() {
    use Category::*;
    for (line, category, again) in [
        (
            "550 5.1.1 <a@b.example>: Recipient address rejected: User unknown in virtual mailbox table",
            BadMailbox,
            Again::Never,
        ),
        ("550-5.1.1 The email account that you tried to reach does not exist. Please try", BadMailbox, Again::Never),
        ("550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302).", BadMailbox, Again::Never),
        ("550 No such user here", BadMailbox, Again::Never),
        (
            "554 delivery error: dd This user doesn't have a yahoo.com account (a@yahoo.com) [-5]",
            BadMailbox,
            Again::Never,
        ),
        ("452 4.2.2 The recipient's inbox is out of storage space and inactive.", MailboxFull, Again::Yes),
        ("552 5.2.2 Mailbox full", MailboxFull, Again::Yes),
        ("550 5.2.1 The email account that you tried to reach is inactive.", Inactive, Again::Never),
        (
            "550 5.7.26 Unauthenticated email from b.example is not accepted due to domain's DMARC policy",
            Authentication,
            Again::AfterRepair,
        ),
        (
            "550 5.7.515 Access denied, sending domain B.EXAMPLE does not meet the required authentication level.",
            Authentication,
            Again::AfterRepair,
        ),
        ("421 4.7.28 Our system has detected an unusual rate of unsolicited mail", Rate, Again::Yes),
        (
            "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints",
            Reputation,
            Again::Yes,
        ),
        (
            "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
            Reputation,
            Again::AfterRepair,
        ),
        ("550 5.7.1 Message rejected as spam by Content Filtering", Spam, Again::Never),
        ("550 5.7.1 Our system has detected that this message is likely unsolicited mail", Spam, Again::Never),
        ("554 5.7.1 Relay access denied", Relay, Again::Never),
        (
            "450 4.2.0 <a@b.example>: Recipient address rejected: Greylisted, see http://postgrey",
            Greylisted,
            Again::Yes,
        ),
        ("552 5.3.4 Message size exceeds fixed limit", TooLarge, Again::Never),
        ("556 5.1.10 Recipient address has null MX", BadDomain, Again::Never),
        ("530 5.7.0 Must issue a STARTTLS command first", Tls, Again::AfterRepair),
        ("550 5.7.1 Delivery not authorized, message refused", Policy, Again::Never),
        ("501 Syntax error", Protocol, Again::AfterRepair),
    ] {
        assert_eq!(class(line), (category, again), "{line}");
    }
}

#[test]
fn words_that_no_rule_knows_condemn_nobody() {
    for line in ["550 Rejected", "550 Sorry", "554 Transaction failed", "550 terribly sorry", "550 host unknown to us"]
    {
        let code = line[..3].parse().ok();
        let class = classify(code, None, &line[4..]);
        assert!(!class.is_hard(), "{line}: {class:?}");
    }
    // A sender that does not exist is not a recipient that does not.
    assert!(!classify(Some(550), Some((5, 1, 8)), "Sender address rejected: Domain not found").is_hard());
    // Said for now, it is no end.
    assert!(!classify(Some(450), Some((4, 1, 1)), "User unknown").is_hard());
}

#[test]
fn every_rule_is_written_as_it_is_compared_and_says_where_it_is_from() {
    for rule in WORDS {
        assert!(!rule.all.is_empty() && rule.source.len() > 3);
        for word in rule.all {
            assert_eq!(plain(word), *word, "compared in lower case");
        }
    }
    for (at, rule) in WORDS.iter().enumerate() {
        let text = rule.all.join(" ");
        let first = WORDS.iter().position(|other| other.all.iter().all(|word| stands_in(&text, word)));
        let same = first.is_some_and(|first| first == at || WORDS[first].category == rule.category);
        assert!(same, "{:?} never decides: {:?} comes before it", rule.all, first.map(|first| WORDS[first].all));
    }
}

proptest! {
    #[test]
    fn any_words_have_one_class(code in prop::option::of(200..600_u16), status in prop::option::of((0..9_u8, 0..999_u16, 0..999_u16)), text in "\\PC{0,300}") {
        let class = classify(code, status, &text);
        prop_assert_eq!(class, classify(code, status, &text.replace(' ', "  \n")));
        if status.map_or(code.is_some_and(|code| code / 100 == 4), |status| status.0 == 4) {
            prop_assert_eq!(class.again, Again::Yes);
        }
    }
}
