//! The words of the context: data, in the main languages.

/// Words in the main languages, and names of networks that mean nothing else. Sorted, to be searched.
#[rustfmt::skip] // a line a word would hide the table
pub(super) const WORDS: &[&str] = &[
    "accountnumberprimary", "amex", "bancontact", "bankkort", "bankkártya", "bankomatkarte", "bankpas",
    "betaalkaart", "betalingskort", "betalingskortet", "betalkort", "borica", "cabal", "card", "cardholder",
    "cardno", "cardnr", "cardnum", "cardnumber", "cardnumbers", "cards", "cardul", "cardului", "carta",
    "cartao", "carte", "cartes", "cartão", "cartões", "ccard", "ccno", "ccnum", "ccnumber", "credit",
    "creditcard", "creditcardnummer", "creditcards", "creditkaart", "creditkarte", "cryptogramme", "crédito",
    "csc", "cvc", "cvn", "cvv", "dankort", "debit", "debitcard", "debitkarte", "diners", "discovercard",
    "débito", "ecard", "girocard", "hiper", "hipercard", "hitelkártya", "humo", "interac", "interpayment",
    "jcb", "kaardi", "kaardinumber", "kaart", "kaartnummer", "karet", "kart", "karta", "karte", "karten",
    "kartennr", "kartennummer", "kartenummer", "kartes", "kartica", "kartice", "karticom", "karticu",
    "kartnummer", "kartou", "kartu", "karty", "kartą", "kartę", "kartě", "kartı", "kartım", "kartımı",
    "kartımın", "kartın", "kartının", "kartınız", "kartınızı", "kartınızın", "kontokort", "kort", "kortelė",
    "kortelės", "kortelę", "kortet", "kortin", "kortnr", "kortnummer", "kortnummeret", "kortnumret", "kortti",
    "korttia", "korttini", "korttinumero", "kredi", "krediitkaart", "kredit", "kreditkarte", "kreditkarten",
    "kreditkort", "kreditkortet", "kreditní", "kredittkort", "kredytowa", "kredytowej", "kártya", "kártyaszám",
    "kártyaszámom", "kártyám", "lankapay", "luottokortin", "luottokortti", "luottokorttinumero", "maestro",
    "maksukortti", "mastercard", "napas", "pan", "pankkikortin", "pankkikortti", "pasnummer", "platební",
    "postepay", "primaryaccountnumber", "prüfziffer", "rupay", "targeta", "tarjeta", "tarjetahabiente",
    "tarjetas", "tarxeta", "thẻ", "txartela", "uatp", "ukrcard", "unionpay", "uzcard", "verve", "visa",
    "visacard", "visakarte", "κάρτα", "κάρτας", "καρτα", "καρτας", "карта", "картата", "карте", "картица",
    "картичка", "картка", "картки", "карткою", "картку", "картой", "карточка", "карточки", "карточку", "карту",
    "картці", "карты", "քարտ", "քարտի", "אשראי", "הכרטיס", "כרטיס", "כרטיסי", "البطاقة", "بالبطاقة", "ببطاقة",
    "بطاقة", "بطاقتك", "بطاقتي", "للبطاقة", "کارت", "کارڈ", "कार्ड", "क्रेडिट", "डेबिट", "কার্ড", "ਕਾਰਡ",
    "કાર્ડ", "அட்டை", "கார்டு", "కార్డు", "ბარათი", "ბარათის",
];

/// Words of languages that put no space between words.
#[rustfmt::skip] // a line a word would hide the table
pub(super) const PIECES: &[&str] = &[
    "カード", "ｶｰﾄﾞ", "クレジット", "信用卡", "銀行卡", "银行卡", "卡号", "卡號", "借记卡", "儲值卡", "카드", "신용", "บัตร", "金融卡", "簽帳卡",
    "支付卡",
];

/// Words before the date that a card is good until.
#[rustfmt::skip] // a line a word would hide the table
pub(super) const EXPIRY: &[&str] = &[
    "exp", "expires", "expiry", "expiration", "thru", "gültig", "validade", "válido", "expire", "scadenza",
    "caducidad", "vencimiento", "срок", "verfall", "有効期限", "有效期",
];

/// Labels that say what else a number is, where they stand directly before it.
#[rustfmt::skip] // a line a word would hide the table
pub(super) const OTHERS: &[&str] = &[
    "imei", "imeisv", "meid", "esn", "iccid", "iban", "bic", "isbn", "issn", "ean", "gtin", "upc", "asin",
    "awb", "tracking", "track", "trackingnumber", "sendungsnummer", "sendungsverfolgung", "paketnummer",
    "frachtbrief", "waybill", "shipment", "consignment", "parcel", "suivi", "seguimiento", "rastreio",
    "spedizione", "uuid", "guid", "sku", "serial", "seriennummer", "barcode", "timestamp", "epoch", "phone",
    "tel", "telephone", "telefon", "mobile", "fax", "whatsapp", "arn", "ups", "fedex", "dhl", "usps", "hermes",
    "追跡番号", "お問い合わせ番号", "伝票番号", "運單號", "快递单号",
];

/// Words that may stand between such a label and its number.
#[rustfmt::skip] // a line a word would hide the table
pub(super) const BETWEEN: &[&str] = &[
    "number", "numbers", "num", "no", "nr", "id", "ids", "code", "ref", "reference", "is", "it", "of", "for",
    "the", "your", "with", "by", "and", "via", "label", "nummer", "lautet", "ist", "der", "die", "das", "für",
    "mit", "numero", "número", "numéro", "n", "de", "del", "du", "est", "es", "è", "är", "er", "to", "this",
    "these", "as", "value", "sv", "slot", "sim", "package", "kodu", "nomor",
];
