//! The rules of [`super::class`], as data: what servers write, what it means, and where that is written down.
//!
//! Tried from the top; the first rule whose words all stand in the text (lower case, spaces joined) wins, then the
//! status codes, then the bare code. So what a provider writes comes before what the standards say of its status,
//! since providers use 5.7.1 for nearly everything.

use super::class::Again::{self, AfterRepair, Never, Yes};
use super::class::Category::{
    self, Authentication, BadDomain, BadMailbox, Content, Greylisted, Inactive, MailboxFull, Network, Policy, Protocol,
    Rate, Relay, Reputation, Spam, Tls, TooLarge,
};

/// A rule on words.
pub(super) struct Words {
    /// All of these stand in the text, in lower case.
    pub(super) all: &'static [&'static str],
    /// What it is about.
    pub(super) category: Category,
    /// Will trying again help, after a reply that says "never"? After one that says "not now", it may.
    pub(super) again: Again,
    /// Who writes so.
    pub(super) source: &'static str,
}

const fn words(all: &'static [&'static str], category: Category, again: Again, source: &'static str) -> Words {
    Words { all, category, again, source }
}

const GOOGLE: &str = "Google, support.google.com/a/answer/3726730";
const MICROSOFT: &str = "Microsoft, learn.microsoft.com: non-delivery reports in Exchange Online";
const OUTLOOK: &str = "Microsoft, sendersupport.olc.protection.outlook.com: troubleshooting";
const YAHOO: &str = "Yahoo, senders.yahooinc.com/smtp-error-codes";
const APPLE: &str = "Apple, support.apple.com/102322: postmaster information";
const POSTFIX: &str = "Postfix, smtpd and cleanup";
const EXIM: &str = "Exim, default configuration";
const QMAIL: &str = "qmail, netqmail and its patches";
const SENDMAIL: &str = "sendmail, err.c and sysexits";
const DOVECOT: &str = "Dovecot, quota plugin and LMTP";
const SPAMHAUS: &str = "Spamhaus, spamhaus.org: return codes and block texts";
const LISTS: &str = "block lists named in replies";
const GREY: &str = "postgrey, milter-greylist, Exchange";
const RSPAMD: &str = "rspamd and SpamAssassin milters";

/// Rules on words.
pub(super) const WORDS: &[Words] = &[
    // The domain's own house: authentication before everything else, since its remedy is a record.
    words(&["dmarc"], Authentication, AfterRepair, GOOGLE),
    words(&["5.7.515"], Authentication, AfterRepair, MICROSOFT),
    words(&["5.7.26"], Authentication, AfterRepair, GOOGLE),
    words(&["unauthenticated", "sender"], Authentication, AfterRepair, GOOGLE),
    words(&["spf", "fail"], Authentication, AfterRepair, "RFC 7208 §8.4 and its deployments"),
    words(&["dkim", "fail"], Authentication, AfterRepair, "RFC 6376 §6.3 and its deployments"),
    words(&["does not meet", "authentication"], Authentication, AfterRepair, OUTLOOK),
    words(&["ptr record"], Authentication, AfterRepair, GOOGLE),
    words(&["reverse dns"], Authentication, AfterRepair, POSTFIX),
    words(&["cannot find your hostname"], Authentication, AfterRepair, POSTFIX),
    words(&["reverse hostname"], Authentication, AfterRepair, POSTFIX),
    words(&["sender address rejected", "domain not found"], Authentication, AfterRepair, POSTFIX),
    words(&["sender verify failed"], Authentication, AfterRepair, EXIM),
    // The address of the sender's machine or the domain's name has a bad name.
    words(&["spamhaus"], Reputation, AfterRepair, SPAMHAUS),
    words(&["barracuda"], Reputation, AfterRepair, LISTS),
    words(&["spamcop"], Reputation, AfterRepair, LISTS),
    words(&["sorbs"], Reputation, AfterRepair, LISTS),
    words(&["blocklist"], Reputation, AfterRepair, LISTS),
    words(&["block list"], Reputation, AfterRepair, OUTLOOK),
    words(&["blacklist"], Reputation, AfterRepair, LISTS),
    words(&["dnsbl"], Reputation, AfterRepair, LISTS),
    words(&["rbl"], Reputation, AfterRepair, LISTS),
    words(&["reputation"], Reputation, AfterRepair, GOOGLE),
    words(&["[ts0"], Reputation, Yes, YAHOO),
    words(&["[bl2"], Reputation, AfterRepair, YAHOO),
    words(&["temporarily deferred due to", "complaints"], Reputation, Yes, YAHOO),
    words(&["suspicious due to the very low"], Reputation, AfterRepair, GOOGLE),
    words(&["s3150"], Reputation, AfterRepair, OUTLOOK),
    words(&["s3140"], Reputation, AfterRepair, OUTLOOK),
    words(&["part of their network is on our block list"], Reputation, AfterRepair, OUTLOOK),
    words(&["[cs01]"], Policy, AfterRepair, APPLE),
    words(&["[hm08]"], Reputation, AfterRepair, APPLE),
    // Slow down. Each of these means the sender, not the letter.
    words(&["4.7.28"], Rate, Yes, GOOGLE),
    words(&["unusual rate"], Rate, Yes, GOOGLE),
    words(&["rate", "limit"], Rate, Yes, GOOGLE),
    words(&["receiving mail at a rate"], Rate, Yes, GOOGLE),
    words(&["too many connections"], Rate, Yes, POSTFIX),
    words(&["too many concurrent"], Rate, Yes, EXIM),
    words(&["too many messages"], Rate, Yes, EXIM),
    words(&["too many recipients"], Rate, Yes, "RFC 5321 §4.5.3.1.10"),
    words(&["too much mail"], Rate, Yes, POSTFIX),
    words(&["thrott"], Rate, Yes, MICROSOFT),
    words(&["exceeded the", "connection"], Rate, Yes, OUTLOOK),
    words(&["try again later", "sending"], Rate, Yes, YAHOO),
    words(&["server busy"], Rate, Yes, MICROSOFT),
    words(&["greylist"], Greylisted, Yes, GREY),
    words(&["graylist"], Greylisted, Yes, GREY),
    words(&["grey listed"], Greylisted, Yes, GREY),
    // The mailbox is there and takes nothing now.
    words(&["over quota"], MailboxFull, Yes, GOOGLE),
    words(&["out of storage"], MailboxFull, Yes, GOOGLE),
    words(&["overquota"], MailboxFull, Yes, GOOGLE),
    words(&["quota", "exceeded"], MailboxFull, Yes, DOVECOT),
    words(&["exceeded", "storage"], MailboxFull, Yes, DOVECOT),
    words(&["quota is full"], MailboxFull, Yes, DOVECOT),
    words(&["mailbox", "full"], MailboxFull, Yes, SENDMAIL),
    words(&["insufficient disk"], MailboxFull, Yes, SENDMAIL),
    words(&["inbox is full"], MailboxFull, Yes, GOOGLE),
    words(&["mailbox unavailable or access denied"], Policy, Never, MICROSOFT),
    // The mailbox is closed.
    words(&["account", "disabled"], Inactive, Never, GOOGLE),
    words(&["account", "inactive"], Inactive, Never, GOOGLE),
    words(&["account", "suspended"], Inactive, Never, YAHOO),
    words(&["mailbox", "disabled"], Inactive, Never, YAHOO),
    words(&["user is inactive"], Inactive, Never, YAHOO),
    words(&["no longer active"], Inactive, Never, EXIM),
    words(&["account has been closed"], Inactive, Never, YAHOO),
    words(&["no longer accepts mail"], Inactive, Never, SENDMAIL),
    // Nobody there. Whole phrases: "unknown" and "not found" alone are said of hosts and of senders too.
    words(&["user unknown"], BadMailbox, Never, SENDMAIL),
    words(&["unknown user"], BadMailbox, Never, EXIM),
    words(&["unknown recipient"], BadMailbox, Never, POSTFIX),
    words(&["recipient unknown"], BadMailbox, Never, POSTFIX),
    words(&["unknown local part"], BadMailbox, Never, EXIM),
    words(&["unrouteable address"], BadMailbox, Never, EXIM),
    words(&["unknown address"], BadMailbox, Never, EXIM),
    words(&["no such user"], BadMailbox, Never, GOOGLE),
    words(&["no such recipient"], BadMailbox, Never, EXIM),
    words(&["no such mailbox"], BadMailbox, Never, QMAIL),
    words(&["no such address"], BadMailbox, Never, EXIM),
    words(&["no such person"], BadMailbox, Never, EXIM),
    words(&["no mailbox here by that name"], BadMailbox, Never, QMAIL),
    words(&["the email account that you tried to reach does not exist"], BadMailbox, Never, GOOGLE),
    words(&["user doesn't have a"], BadMailbox, Never, YAHOO),
    words(&["this user doesn't have"], BadMailbox, Never, YAHOO),
    words(&["mailbox", "not found"], BadMailbox, Never, YAHOO),
    words(&["mailbox does not exist"], BadMailbox, Never, OUTLOOK),
    words(&["mailbox doesn't exist"], BadMailbox, Never, OUTLOOK),
    words(&["requested action not taken: mailbox unavailable"], BadMailbox, Never, "RFC 5321 §4.2.2, and Outlook"),
    words(&["user", "does not exist"], BadMailbox, Never, DOVECOT),
    words(&["user doesn't exist"], BadMailbox, Never, DOVECOT),
    words(&["recipient", "does not exist"], BadMailbox, Never, POSTFIX),
    words(&["address", "does not exist"], BadMailbox, Never, EXIM),
    words(&["user not found"], BadMailbox, Never, DOVECOT),
    words(&["recipient not found"], BadMailbox, Never, MICROSOFT),
    words(&["recipnotfound"], BadMailbox, Never, MICROSOFT),
    words(&["recipient address rejected", "undeliverable"], BadMailbox, Never, POSTFIX),
    words(&["not a valid mailbox"], BadMailbox, Never, SENDMAIL),
    words(&["invalid recipient"], BadMailbox, Never, POSTFIX),
    words(&["invalid mailbox"], BadMailbox, Never, POSTFIX),
    words(&["not our customer"], BadMailbox, Never, EXIM),
    words(&["not listed in domino directory"], BadMailbox, Never, "HCL Domino"),
    words(&["account", "not exist"], BadMailbox, Never, GOOGLE),
    // The message itself.
    words(&["message", "too large"], TooLarge, Never, POSTFIX),
    words(&["size", "exceed"], TooLarge, Never, POSTFIX),
    words(&["virus"], Content, Never, "ClamAV milters"),
    words(&["malware"], Content, Never, MICROSOFT),
    words(&["malicious"], Content, Never, GOOGLE),
    words(&["attachment"], Content, Never, GOOGLE),
    words(&["blocked because its content"], Content, Never, GOOGLE),
    words(&["phishing"], Content, Never, GOOGLE),
    words(&["spam"], Spam, Never, RSPAMD),
    words(&["unsolicited"], Spam, Never, GOOGLE),
    words(&["bulk"], Spam, Never, GOOGLE),
    words(&["junk mail"], Spam, Never, RSPAMD),
    words(&["content", "rejected"], Content, Never, EXIM),
    // The other side's rules.
    words(&["relay", "denied"], Relay, Never, POSTFIX),
    words(&["relaying denied"], Relay, Never, SENDMAIL),
    words(&["relay not permitted"], Relay, Never, EXIM),
    words(&["unable to relay"], Relay, Never, MICROSOFT),
    words(&["not permitted to relay"], Relay, Never, EXIM),
    words(&["requiretls"], Tls, AfterRepair, "RFC 8689"),
    words(&["starttls"], Tls, AfterRepair, "RFC 3207"),
    words(&["must issue a starttls"], Tls, AfterRepair, POSTFIX),
    words(&["access denied"], Policy, Never, MICROSOFT),
    words(&["banned"], Policy, Never, OUTLOOK),
    words(&["policy"], Policy, Never, YAHOO),
    words(&["blocked"], Policy, Never, POSTFIX),
    words(&["administrative prohibition"], Policy, Never, EXIM),
    words(&["not accepted for policy reasons"], Policy, Never, YAHOO),
    words(&["mail loop"], Relay, Never, POSTFIX),
    words(&["too many hops"], Relay, Never, POSTFIX),
    words(&["host or domain name not found"], BadDomain, Never, POSTFIX),
    words(&["domain", "does not exist"], BadDomain, Never, EXIM),
    words(&["connection timed out"], Network, Yes, POSTFIX),
    words(&["connection refused"], Network, Yes, POSTFIX),
    words(&["no route to host"], Network, Yes, POSTFIX),
    words(&["network is unreachable"], Network, Yes, POSTFIX),
    words(&["retry timeout exceeded"], Network, Yes, EXIM),
];

/// A rule on an enhanced status code: subject and detail (RFC 3463), whatever the class. `None`: any detail.
pub(super) struct Status(
    pub(super) u16,
    pub(super) Option<u16>,
    pub(super) Category,
    pub(super) Again,
    /// The clause.
    pub(super) &'static str,
);

/// Rules on status codes.
pub(super) const STATUSES: &[Status] = &[
    Status(1, Some(1), BadMailbox, Never, "RFC 3463 §3.2: bad destination mailbox address"),
    Status(1, Some(2), BadDomain, Never, "RFC 3463 §3.2: bad destination system address"),
    Status(1, Some(3), BadMailbox, Never, "RFC 3463 §3.2: bad destination mailbox address syntax"),
    Status(1, Some(6), Inactive, Never, "RFC 3463 §3.2: destination mailbox has moved"),
    Status(1, Some(7), Authentication, AfterRepair, "RFC 3463 §3.2: bad sender's mailbox address syntax"),
    Status(1, Some(8), Authentication, AfterRepair, "RFC 3463 §3.2: bad sender's system address"),
    Status(1, Some(10), BadDomain, Never, "RFC 7505 §4.2: recipient address has null MX"),
    Status(1, None, BadMailbox, Never, "RFC 3463 §3.2: addressing status"),
    Status(2, Some(1), Inactive, Never, "RFC 3463 §3.3: mailbox disabled"),
    Status(2, Some(2), MailboxFull, Yes, "RFC 3463 §3.3: mailbox full"),
    Status(2, Some(3), TooLarge, Never, "RFC 3463 §3.3: message length exceeds administrative limit"),
    Status(2, None, Policy, Never, "RFC 3463 §3.3: mailbox status"),
    Status(3, Some(4), TooLarge, Never, "RFC 3463 §3.4: message too big for system"),
    Status(3, None, Network, Yes, "RFC 3463 §3.4: mail system status"),
    Status(4, Some(4), BadDomain, Never, "RFC 3463 §3.5: unable to route"),
    Status(4, Some(6), Relay, Never, "RFC 3463 §3.5: routing loop"),
    Status(4, None, Network, Yes, "RFC 3463 §3.5: network and routing status"),
    Status(5, Some(3), Rate, Yes, "RFC 3463 §3.6: too many recipients"),
    Status(5, None, Protocol, AfterRepair, "RFC 3463 §3.6: mail delivery protocol status"),
    Status(6, None, Content, Never, "RFC 3463 §3.7: message content or media status"),
    Status(7, Some(4), Tls, AfterRepair, "RFC 3463 §3.8: security features not supported"),
    Status(7, Some(5), Tls, AfterRepair, "RFC 3463 §3.8: cryptographic failure"),
    Status(7, Some(10), Tls, AfterRepair, "RFC 5248: encryption needed"),
    Status(7, Some(20), Authentication, AfterRepair, "RFC 7372 §3.1: DKIM"),
    Status(7, Some(21), Authentication, AfterRepair, "RFC 7372 §3.1: DKIM"),
    Status(7, Some(22), Authentication, AfterRepair, "RFC 7372 §3.1: DKIM"),
    Status(7, Some(23), Authentication, AfterRepair, "RFC 7372 §3.2: SPF"),
    Status(7, Some(24), Authentication, AfterRepair, "RFC 7372 §3.2: SPF"),
    Status(7, Some(25), Authentication, AfterRepair, "RFC 7372 §3.3: reverse DNS"),
    Status(7, Some(26), Authentication, AfterRepair, "RFC 7372 §3.4: multiple authentication checks"),
    Status(7, Some(28), Rate, Yes, "IANA, Google: mail flood detected"),
    Status(7, Some(30), Tls, AfterRepair, "RFC 8689 §5: REQUIRETLS needed"),
    Status(7, None, Policy, Never, "RFC 3463 §3.8: security or policy status"),
];
