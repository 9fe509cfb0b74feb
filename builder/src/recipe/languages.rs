//! Languages that ICU has data for.

/// Those of ICU 72 (bookworm) and 76 (trixie), sorted; `root` is the locale that all others fall back to.
const LANGUAGES: &str = "\
    af agq ak am ar ars as asa ast az bas be bem bez bg bgc bho blo bm bn bo br brx bs ca ccp ce ceb cgg \
    chr ckb cs csw cv cy da dav de dje doi dsb dua dyo dz ebu ee el en eo es et eu ewo fa ff fi fil fo fr \
    fur fy ga gaa gd gl gsw gu guz gv ha haw he hi hr hsb hu hy ia id ie ig ii in is it iw ja jgo jmc jv ka \
    kab kam kde kea kgp khq ki kk kkj kl kln km kn ko kok ks ksb ksf ksh ku kw kxv ky lag lb lg lij lkt lmo \
    ln lo lrc lt lu luo luy lv mai mas mer mfe mg mgh mgo mi mk ml mn mni mo mr ms mt mua my mzn naq nb nd \
    nds ne nl nmg nn nnh no nqo nso nus nyn oc om or os pa pcm pl prg ps pt qu raj rm rn ro root rof ru rw \
    rwk sa sah saq sat sbp sc sd se seh ses sg sh shi si sk sl smn sn so sq sr st su sv sw syr szl ta te teo \
    tg th ti tk tl tn to tok tr tt twq tzm ug uk ur uz vai vec vi vmw vun wae wo xh xnr xog yav yi yo yrl \
    yue za zgh zh zu";

/// Returns true for a language that ICU has data for.
pub fn is_icu_language(name: &str) -> bool {
    LANGUAGES.split(' ').any(|language| language == name)
}

/// Returns the fault of the name of a language, as a clause without the name; `None` if it is good.
pub(super) fn fault_of(name: &str) -> Option<String> {
    let known = || LANGUAGES.split(' ');
    if known().any(|language| language == name) {
        return None;
    }
    let language = name.split(['_', '-']).next().unwrap_or(name);
    if language != name && known().any(|known| known == language) {
        return Some(format!("names a region; a language brings all of its own: write `{language}`"));
    }
    Some(match super::error::nearest(name, known()) {
        Some(near) => format!("is not a language of ICU; did you mean `{near}`?"),
        None => "is not a language of ICU (ISO 639, such as `de`)".to_owned(),
    })
}
