//! The commented default file, made from the table of keys: no knob is hidden, and none can be forgotten.

use std::fmt::Write as _;

use super::keys::SECTIONS;
use super::kind::{Absent, Occurs, Section};

/// Every key with its default and one line on what it is for. Checks without a complaint as it is.
pub fn example() -> String {
    let mut out =
        String::from("# Waxseal's configuration, every key with its default. Keys without one are commented out.\n");
    for section in SECTIONS {
        write_section(&mut out, section);
    }
    out
}

fn write_section(out: &mut String, section: &Section) {
    // Routes, sites and source addresses are examples: live ones would send mail to them.
    let live = section.occurs != Occurs::Repeated || section.path == "listen";
    let mark = if live { "" } else { "# " };
    let header = match section.occurs {
        Occurs::Repeated => format!("{mark}[[{}]]", section.path),
        Occurs::Once | Occurs::Optional => format!("[{}]", section.path),
    };
    out.push('\n');
    for line in section.doc.lines() {
        let _ = writeln!(out, "# {line}");
    }
    if !section.path.is_empty() {
        let _ = writeln!(out, "{header}");
    }
    for key in section.keys {
        let off = if live && matches!(key.default, Absent::Nothing(_)) { "# " } else { mark };
        let _ = writeln!(out, "# {}\n{off}{} = {}", key.doc, key.name, key.default.text());
    }
    for more in section.more {
        let _ = writeln!(out, "\n{header}");
        for line in more.lines() {
            let _ = writeln!(out, "{mark}{line}");
        }
    }
}
