//! Several answers in one: what they mean together.

use super::{AddressAnswer, DnsFailure, MxAnswer, MxRecord};

/// Puts both families together: addresses of either are enough; a family that failed does not hide the other's,
/// but "no such name" counts only when nobody failed to answer.
pub(super) fn combine(
    v4: Result<AddressAnswer, DnsFailure>,
    v6: Result<AddressAnswer, DnsFailure>,
) -> Result<AddressAnswer, DnsFailure> {
    match (v4, v6) {
        (Ok(v4), Ok(v6)) => {
            let (mut fours, mut sixes) = (v4.addresses.into_iter(), v6.addresses.into_iter());
            let mut addresses = Vec::with_capacity(fours.len() + sixes.len());
            // IPv4 first: where only one of a gateway's families has a PTR record and a reputation, it is this one.
            loop {
                let before = addresses.len();
                addresses.extend(fours.next());
                addresses.extend(sixes.next());
                if addresses.len() == before {
                    break;
                }
            }
            Ok(AddressAnswer {
                addresses,
                alias_of: v4.alias_of.or(v6.alias_of),
                secure: v4.secure && v6.secure,
                name_secure: v4.name_secure && v6.name_secure,
            })
        }
        (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(one),
        (Err(a), Err(b)) => Err(match (a.is_temporary(), b.is_temporary()) {
            (true, _) => a,
            (_, true) => b,
            _ if a == DnsFailure::NoSuchName || b == DnsFailure::NoSuchName => DnsFailure::NoSuchName,
            _ => DnsFailure::NoData,
        }),
    }
}

/// RFC 7505 §3: a null MX stands alone; beside real hosts it means nothing.
pub(super) fn read_mx(records: impl Iterator<Item = (u16, String)>, secure: bool) -> Result<MxAnswer, DnsFailure> {
    let (mut hosts, mut null, mut any) = (Vec::new(), false, false);
    for (preference, exchange) in records {
        any = true;
        if exchange.is_empty() {
            null = true;
        } else if let Ok(exchange) = exchange.parse() {
            hosts.push(MxRecord { preference, exchange });
        }
    }
    match (any, null && hosts.is_empty()) {
        (false, _) => Err(DnsFailure::NoData),
        (true, true) => Ok(MxAnswer::Null),
        (true, false) => Ok(MxAnswer::Hosts { records: hosts, secure }),
    }
}
