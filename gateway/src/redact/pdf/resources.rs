//! Which font a name means in which stream (ISO 32000-1 §7.8.3).

use std::collections::HashMap;

use super::fonts::Font;
use super::lex::Value;
use super::{File, Where};

pub(super) struct Fonts {
    by_number: HashMap<u32, Font>,
    /// Names of fonts by the number of the stream that uses them.
    resources: HashMap<u32, HashMap<String, u32>>,
    pub(super) plain: Font,
    /// Any font of that name.
    all: HashMap<String, u32>,
}

impl Fonts {
    fn name(&mut self, entries: &[(String, Value)]) {
        for (name, value) in entries {
            if let Value::Reference(number) = value {
                self.all.insert(name.clone(), *number);
            }
        }
    }

    pub(super) fn of(&self, stream: u32) -> HashMap<String, &Font> {
        let own = self.resources.get(&stream).into_iter().flatten();
        self.all
            .iter()
            .chain(own)
            .filter_map(|(name, number)| Some((name.clone(), self.by_number.get(number)?)))
            .collect()
    }
}

impl File<'_> {
    /// The fonts of each font object, by object number, and by resource name for streams whose resources are unknown.
    pub(super) fn fonts(&self) -> Fonts {
        let mut fonts =
            Fonts { by_number: HashMap::new(), resources: HashMap::new(), plain: Font::plain(), all: HashMap::new() };
        let values = || {
            self.objects.iter().map(|object| &object.value).chain(self.inner.iter().map(|(_, object)| &object.value))
        };
        for (number, at) in &self.latest {
            let value = match at {
                Where::File(index) => &self.objects[*index].value,
                Where::Inner(index) => &self.inner[*index].1.value,
            };
            if value.get("Type").and_then(Value::name) == Some("Font") || value.get("ToUnicode").is_some() {
                let unicode = value.get("ToUnicode").and_then(|reference| match reference {
                    Value::Reference(number) => match self.latest.get(number)? {
                        Where::File(index) => self.packed.get(index).map(Vec::as_slice),
                        Where::Inner(_) => None,
                    },
                    _ => None,
                });
                fonts.by_number.insert(*number, Font::new(value, self.follow(value, "Encoding"), unicode));
            }
        }
        for value in values() {
            let Some(Value::Dict(entries)) =
                self.follow(value, "Resources").and_then(|resources| self.follow(resources, "Font"))
            else {
                if let Some(Value::Dict(entries)) = self.follow(value, "Font") {
                    fonts.name(entries);
                }
                continue;
            };
            fonts.name(entries);
        }
        for object in &self.objects {
            self.page_resources(&object.value, &mut fonts);
            if object.stream.is_some() && object.value.get("Resources").is_some() {
                fonts.resources.insert(object.number, self.font_numbers(&object.value));
            }
        }
        for (_, object) in &self.inner {
            self.page_resources(&object.value, &mut fonts);
        }
        fonts
    }

    /// Notes the fonts of a page under the numbers of its content streams.
    fn page_resources(&self, page: &Value, fonts: &mut Fonts) {
        if page.get("Type").and_then(Value::name) != Some("Page") {
            return;
        }
        let mut holder = page;
        for _ in 0..20 {
            if holder.get("Resources").is_some() {
                break;
            }
            let Some(parent) = self.follow(holder, "Parent") else { break };
            holder = parent;
        }
        let numbers = self.font_numbers(holder);
        let streams = match page.get("Contents") {
            Some(Value::Reference(number)) => match self.value(*number) {
                Some(Value::Array(items)) => items.clone(),
                _ => vec![Value::Reference(*number)],
            },
            Some(Value::Array(items)) => items.clone(),
            _ => Vec::new(),
        };
        for stream in streams {
            if let Value::Reference(number) = stream {
                fonts.resources.insert(number, numbers.clone());
            }
        }
    }

    fn font_numbers(&self, holder: &Value) -> HashMap<String, u32> {
        let entries = self.follow(holder, "Resources").and_then(|resources| self.follow(resources, "Font"));
        match entries {
            Some(Value::Dict(entries)) => entries
                .iter()
                .filter_map(
                    |(name, value)| {
                        if let Value::Reference(number) = value { Some((name.clone(), *number)) } else { None }
                    },
                )
                .collect(),
            _ => HashMap::new(),
        }
    }
}
