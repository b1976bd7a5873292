//! Texts: every reading of a content, and what is found in it.

use super::{
    CharEdit, Charset, EditSet, Found, HashSet, Kind, Markup, Place, RawOffset, Readings, Refusal, Rules, Stage, Style,
    TextOffset, View, escapes, html, normalise, prefilter, rtf, scan, wipe,
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

/// Does one of the first angle brackets begin a tag?
fn has_tags(text: &str) -> bool {
    memchr::memchr_iter(b'<', text.as_bytes())
        .take(64)
        .any(|at| text.as_bytes().get(at + 1).is_some_and(u8::is_ascii_alphabetic))
}

/// How a text is to be read.
#[derive(Clone, Copy)]
struct How<'p> {
    kind: Kind,
    markup: Option<Markup>,
    style: Style,
    place: &'p Place,
}

/// A reading, and what it is a reading of: the text of the part, or another reading of it.
struct Layer<'v> {
    view: &'v View<'v>,
    below: &'v str,
    under: Option<&'v Layer<'v>>,
}

impl Layer<'_> {
    /// Where a character of the reading begins in the text of the part.
    fn source(&self, at: TextOffset) -> TextOffset {
        let at = self.view.source(at);
        self.under.map_or(at, |under| under.source(at))
    }

    /// The edits of the reading as edits of the text of the part.
    fn lower(&self, edits: Vec<CharEdit>) -> Vec<CharEdit> {
        let lowered = if self.view.is_same() { edits } else { self.view.lower(self.below, &edits) };
        match self.under {
            Some(under) => under.lower(lowered),
            None => lowered,
        }
    }

    /// The text of the part.
    fn bottom(&self) -> &str {
        self.under.map_or(self.below, Layer::bottom)
    }
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
        self.read(text, How { kind, markup, style, place }, None, &mut readings)?;
        normalise(&mut readings.edits);
        Ok(readings.edits)
    }

    /// Each way to read a text; `under` says what it is a reading of already.
    fn read(&mut self, text: &str, how: How<'_>, under: Option<&Layer<'_>>, out: &mut Readings) -> Result<(), Refusal> {
        let marked = match how.kind {
            Kind::Html | Kind::Xml => true,
            Kind::Json | Kind::Rtf => false,
            _ => has_tags(text),
        };
        let reach = if marked { prefilter::Reach::Markup } else { prefilter::Reach::Text };
        if text.is_ascii() && !prefilter::any_escaped(text.as_bytes(), reach) {
            return Ok(());
        }
        if marked {
            let markup = how.markup.unwrap_or(if how.kind == Kind::Xml { Markup::of_xml(text) } else { Markup::Html });
            self.reading(&html::visible(text, markup), text, how, under, out)?;
            self.reading(&html::source(text), text, how, under, out)?;
        }
        if !marked || how.kind == Kind::Text {
            self.reading(&View::same(text), text, how, under, out)?;
        }
        if !marked {
            let view = escapes::view(text);
            if !view.is_same() {
                self.reading(&view, text, how, under, out)?;
                if under.is_none() && has_tags(view.text()) {
                    let layer = Layer { view: &view, below: text, under };
                    self.reading(&html::visible(view.text(), Markup::Html), view.text(), how, Some(&layer), out)?;
                }
            } else if how.kind == Kind::Json && has_tags(text) {
                self.reading(&html::visible(text, Markup::Html), text, how, under, out)?;
            }
        }
        if under.is_none() {
            let view = further(text);
            if !view.is_same() {
                let layer = Layer { view: &view, below: text, under };
                self.read(view.text(), How { kind: Kind::Text, ..how }, Some(&layer), out)?;
            }
        }
        Ok(())
    }

    fn reading(
        &mut self,
        view: &View<'_>,
        below: &str,
        how: How<'_>,
        under: Option<&Layer<'_>>,
        out: &mut Readings,
    ) -> Result<(), Refusal> {
        let allow = |text: &str, start: usize, end: usize| self.allow.covers(text, start, end);
        let mut found = scan(view.text(), &Rules { keep: self.policy.keep, allow: &allow, style: how.style });
        if found.numbers.is_empty() {
            return Ok(());
        }
        let layer = Layer { view, below, under };
        self.record(&layer, std::mem::take(&mut found.numbers), how.place, out)?;
        let lowered = layer.lower(found.edits);
        if out.edits.is_empty() {
            out.edits = lowered;
        } else {
            out.edits.extend(lowered);
        }
        Ok(())
    }

    fn record(
        &mut self,
        layer: &Layer<'_>,
        numbers: Vec<Found>,
        place: &Place,
        out: &mut Readings,
    ) -> Result<(), Refusal> {
        for number in numbers {
            let at = layer.source(number.at);
            if !out.known.insert(at) {
                continue;
            }
            self.hit(place, number.brand, number.masked, layer.bottom(), at)?;
        }
        Ok(())
    }
}
