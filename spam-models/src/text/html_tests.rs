use proptest::prelude::*;

use super::*;

#[test]
fn text_without_markup_passes_through() {
    for text in ["How do I reset it?", "a < b and c > d", "AT&T & co", "1<2", "<3 you", ""] {
        assert_eq!(extract(text).text, text);
    }
}

#[test]
fn tags_inside_words_vanish_and_blocks_break_lines() {
    let out = extract("<p>ch<b></b>eap pi<i>ll</i>s</p><div>now</div>");
    assert_eq!(out.text, "\ncheap pills\n\nnow\n");
    assert!(out.split_words >= 3, "{}", out.split_words);
    assert_eq!(extract("ca<!-- x -->sino").text, "casino");
}

#[test]
fn hidden_text_is_set_apart() {
    for hidden in [
        "<div style=\"display: none\">good</div>",
        "<span style='font-size:0px'>good</span>",
        "<p hidden>good</p>",
        "<span style=\"opacity:0;\">good</span>",
        "<script>good</script>",
        "<span style=display:none>good</span>",
        "<div style=\"display:none\"><div>go</div>od</div>",
    ] {
        let out = extract(&format!("buy{hidden} now"));
        assert!(!out.text.contains("go"), "{hidden}: {:?}", out.text);
        assert!(out.hidden.contains("go"), "{hidden}: {:?}", out.hidden);
        assert!(out.text.ends_with(" now"), "{hidden}: {:?}", out.text);
    }
    assert!(extract("<br hidden>seen").text.contains("seen"));
    assert!(extract("<p style=\"font-size:10px;height:20px\">seen</p>").text.contains("seen"));
}

#[test]
fn links_keep_target_and_text() {
    let out = extract("see <a class=x href=\"https://evil.example/?a=1&amp;b=2\">your <b>bank</b></a> today");
    assert_eq!(out.anchors, [Anchor { href: "https://evil.example/?a=1&b=2".into(), shown: "your bank".into() }]);
}

#[test]
fn base64_that_holds_text_is_read() {
    let run = BASE64.encode("Win a free cruise at our casino today");
    let out = extract(&format!("look: {run}"));
    assert!(out.text.contains("free cruise"), "{}", out.text);
    assert_eq!(out.encoded, 1);
    for plain in ["Donaudampfschifffahrtsgesellschaft", "https://example.com/a/Path/ToSomething/Longer/Here"] {
        assert_eq!(extract(plain).text, plain);
    }
}

#[test]
fn ten_megabytes_are_cut_and_said_so() {
    let out = extract(&"<b".repeat(5_000_000));
    assert!(out.cut && out.text.len() <= crate::text::MOST_OCTETS + 8);
}

proptest! {
    #[test]
    fn any_text_is_read(text in "\\PC{0,200}", markup in "[<>&;#a-z/\"'= !-]{0,200}") {
        let out = extract(&format!("{text}{markup}"));
        prop_assert!(out.text.len() + out.hidden.len() <= 2 * (text.len() + markup.len()) + 64);
        extract(&format!("{markup}{text}{markup}"));
    }
}
