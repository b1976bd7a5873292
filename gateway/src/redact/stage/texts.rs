//! Texts: every reading of a content, and what is found in it.

use super::{
    CharEdit, Charset, EditSet, Findings, HashSet, Kind, Markup, Place, RawOffset, Readings, Refusal, Rules, Stage,
    Style, View, escapes, html, normalise, prefilter, rtf, scan, wipe,
};

/// A reading that the text's own format asks for: RTF, and the folded lines of vCards and calendars.
fn further(text: &str) -> View<'_> {
    let head = text.trim_start();
    if head.starts_with("{\\rtf") {
        return rtf::shown(text);
    }
    if head.get(..6).is_some_and(|head| head.eq_ignore_ascii_case("BEGIN:")) {
        return escapes::unfolded(text);
    }
    View::same(text)
}

impl Stage<'_> {
    /// Text in a charset: every reading that a program may make of it.
    pub fn text_content(
        &mut self,
        content: &[u8],
        label: Option<&[u8]>,
        kind: Kind,
        place: &Place,
    ) -> Result<EditSet, Refusal> {
        self.texts(content, label, kind, None, place)
    }

    /// Markup whose tags show in their own way.
    pub fn markup_content(
        &mut self,
        content: &[u8],
        kind: Kind,
        markup: Markup,
        place: &Place,
    ) -> Result<EditSet, Refusal> {
        self.texts(content, None, kind, Some(markup), place)
    }

    pub(super) fn texts(
        &mut self,
        content: &[u8],
        label: Option<&[u8]>,
        kind: Kind,
        markup: Option<Markup>,
        place: &Place,
    ) -> Result<EditSet, Refusal> {
        let charset = Charset::detect(label, content);
        let also = charset.also(content);
        let mut edits = EditSet::new();
        for charset in std::iter::once(charset).chain(also) {
            let text = charset.decode(content);
            let style = if kind == Kind::Json { Style::Json } else { Style::Text };
            let found = self.readings(&text, kind, markup, style, place)?;
            if !found.is_empty() {
                edits.absorb(charset.patch(content, &text, &found), RawOffset(0));
            }
            if let std::borrow::Cow::Owned(text) = text
                && !found.is_empty()
            {
                wipe(text.into_bytes());
            }
        }
        Ok(edits)
    }

    /// The edits of a text, from each way to read it.
    pub(super) fn readings(
        &mut self,
        text: &str,
        kind: Kind,
        markup: Option<Markup>,
        style: Style,
        place: &Place,
    ) -> Result<Vec<CharEdit>, Refusal> {
        let mut readings = Readings { edits: Vec::new(), known: HashSet::new() };
        let marked = match kind {
            Kind::Html | Kind::Xml => true,
            Kind::Json | Kind::Rtf => false,
            _ => memchr::memchr_iter(b'<', text.as_bytes())
                .take(64)
                .any(|at| text.as_bytes().get(at + 1).is_some_and(u8::is_ascii_alphabetic)),
        };
        if !prefilter::any_escaped(text.as_bytes()) && text.is_ascii() {
            return Ok(readings.edits);
        }
        if marked {
            let markup = markup.unwrap_or(if kind == Kind::Xml { Markup::Xml } else { Markup::Html });
            self.reading(&html::visible(text, markup), text, style, place, &mut readings)?;
            self.reading(&html::source(text), text, style, place, &mut readings)?;
        } else {
            self.reading(&View::same(text), text, style, place, &mut readings)?;
            for view in [escapes::view(text), further(text)] {
                if !view.is_same() {
                    self.reading(&view, text, style, place, &mut readings)?;
                }
            }
        }
        normalise(&mut readings.edits);
        Ok(readings.edits)
    }

    pub(super) fn reading(
        &mut self,
        view: &View<'_>,
        below: &str,
        style: Style,
        place: &Place,
        out: &mut Readings,
    ) -> Result<(), Refusal> {
        let allow = |text: &str, start: usize, end: usize| self.allow.covers(text, start, end);
        let found = scan(view.text(), &Rules { keep: self.policy.keep, allow: &allow, style });
        if found.numbers.is_empty() {
            return Ok(());
        }
        self.record(view, below, &found, place, out)?;
        out.edits.extend(view.lower(below, &found.edits));
        Ok(())
    }

    pub(super) fn record(
        &mut self,
        view: &View<'_>,
        below: &str,
        found: &Findings,
        place: &Place,
        out: &mut Readings,
    ) -> Result<(), Refusal> {
        for number in &found.numbers {
            let at = view.source(number.at);
            if !out.known.insert(at) {
                continue;
            }
            self.hit(place, number.brand, &number.masked, below, at)?;
        }
        Ok(())
    }
}
