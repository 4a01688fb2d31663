//! The functions that statements may call, by class (rules 8 and 9). What is
//! not listed is refused by name. It must never know how a call is written.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

/// What a function means for definiteness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// The same from the same arguments; floats only from floats.
    Pure,
    /// The same from the same arguments; may make a float of anything.
    PureFloat,
    /// Reads the clock.
    Clock,
    /// An aggregate that no order of rows changes.
    Aggregate,
    /// An aggregate whose float sums depend on the order of rows.
    Sum,
    /// An aggregate that is a float sum whatever its argument.
    FloatSum,
    /// An aggregate or window function that picks or lists by the order of rows.
    Ordered,
    /// A window function that gives rows that tie the same value.
    Ranking,
}

static BY_NAME: LazyLock<HashMap<&'static str, Class>> = LazyLock::new(|| {
    let named = |(class, lists): &(Class, &'static [&'static str])| {
        let names = lists.iter().flat_map(|names| names.split_ascii_whitespace());
        names.map(|name| (name, *class)).collect::<Vec<_>>()
    };
    CLASSES.iter().flat_map(named).collect()
});

/// The class of a function by its lower-case name; `None`: it may not be called.
pub(super) fn class_of(name: &str) -> Option<Class> {
    BY_NAME.get(name).copied()
}

/// The functions that may be called, in no order.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    BY_NAME.keys().copied()
}

/// Whether a function's result is of about the same size whatever it is given.
pub(super) fn is_flat(name: &str) -> bool {
    static FLAT: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
        let names = [OPERATORS, NUMBERS, TIME, FLOATS, MEASURES].into_iter();
        let names = names.flat_map(str::split_ascii_whitespace);
        names.filter(|name| !GROWING.contains(name)).collect()
    });
    FLAT.contains(name)
}

/// Those of the lists below whose result grows with what they are given.
const GROWING: [&str; 16] = [
    "||",
    "->",
    "->>",
    "&",
    "|",
    "bin",
    "bitstring",
    "greatest",
    "least",
    "nullif",
    "constant_or_null",
    "strftime",
    "from_json",
    "from_json_strict",
    "json_transform",
    "json_transform_strict",
];

/// Functions of texts and lists that give a number or a truth.
const MEASURES: &str = "array_contains array_has array_has_all array_has_any array_indexof \
    array_length array_position ascii cardinality char_length character_length contains \
    damerau_levenshtein editdist3 ends_with formatreadabledecimalsize formatreadablesize hamming \
    instr json_array_length json_contains json_exists json_type json_valid len length \
    length_grapheme levenshtein list_bit_and list_bit_or list_bit_xor list_bool_and list_bool_or \
    list_contains list_count list_has list_has_all list_has_any list_indexof list_position \
    list_sum list_unique map_contains map_contains_entry map_contains_value md5 md5_number \
    mismatches octet_length ord position prefix regexp_full_match regexp_matches sha1 sha256 \
    starts_with strlen strpos struct_contains struct_has struct_indexof struct_position suffix \
    unicode";

/// Table functions that statements may call.
pub(super) const TABLE_FUNCTIONS: [&str; 3] = ["unnest", "range", "generate_series"];

const CLASSES: [(Class, &[&str]); 8] = [
    (Class::Pure, &[OPERATORS, NUMBERS, TEXT, TIME, LISTS, NESTED, JSON]),
    (Class::PureFloat, &[FLOATS]),
    (Class::Clock, &[CLOCK]),
    (Class::Aggregate, &[AGGREGATES]),
    (Class::Sum, &["sum avg mean sum_no_overflow"]),
    (Class::FloatSum, &[FLOAT_SUMS]),
    (Class::Ordered, &[ORDERED]),
    (Class::Ranking, &["rank dense_rank rank_dense percent_rank cume_dist"]),
];

const OPERATORS: &str = "!__postfix !~~ !~~* % & && * + - -> ->> // << <@ >> @ @> ^@ | || \
    ~ ~~ ~~* ~~~ like_escape not_like_escape ilike_escape not_ilike_escape";

const NUMBERS: &str = "abs add bin bit_count bit_length bit_position bitstring ceil ceiling divide \
    factorial floor fmod gcd get_bit greatest greatest_common_divisor isfinite isinf isnan lcm least \
    least_common_multiple mod multiply nullif round round_even roundbankers set_bit sign signbit \
    subtract to_base trunc xor constant_or_null typeof hash";

const TEXT: &str = "array_to_string ascii bar base64 char_length character_length chr concat \
    concat_ws contains damerau_levenshtein decode editdist3 encode ends_with format format_bytes \
    formatreadabledecimalsize formatreadablesize from_base64 from_binary from_hex hamming hex instr \
    lcase left left_grapheme len length length_grapheme levenshtein lower lpad ltrim md5 md5_number \
    mismatches nfc_normalize octet_length ord position prefix printf regexp_escape regexp_extract \
    regexp_extract_all regexp_full_match regexp_matches regexp_replace regexp_split_to_array repeat \
    replace reverse right right_grapheme rpad rtrim sha1 sha256 split split_part starts_with \
    str_split str_split_regex string_split string_split_regex string_to_array strip_accents strlen \
    strpos substr substring substring_grapheme suffix to_base64 to_binary to_hex translate trim ucase \
    unbin unhex unicode upper url_decode url_encode";

/// `age` with one argument is a clock; see `clock.rs`.
const TIME: &str = "age century date_add date_diff date_sub date_trunc datediff datesub datetrunc \
    day dayname dayofmonth dayofweek dayofyear days_in_month decade epoch_ms epoch_ns epoch_us era \
    hour isodow isoyear last_day make_date make_time make_timestamp make_timestamp_ms \
    make_timestamp_ns make_timestamptz microsecond millennium millisecond minute month monthname \
    nanosecond quarter second strftime strptime time_bucket timezone timezone_hour timezone_minute \
    to_centuries to_days to_decades to_hours to_microseconds to_millennia to_milliseconds to_minutes \
    to_months to_quarters to_seconds to_timestamp to_weeks to_years try_strptime week weekday \
    weekofyear year yearweek";

const LISTS: &str = "apply array_append array_apply array_cat array_concat array_contains \
    array_distinct array_extract array_filter array_grade_up array_has array_has_all array_has_any \
    array_indexof array_intersect array_length array_pop_back array_pop_front array_position \
    array_prepend array_push_back array_push_front array_resize array_reverse array_reverse_sort \
    array_select array_slice array_sort array_transform array_unique array_value array_where \
    array_zip array_reduce cardinality element_at equi_width_bins filter flatten generate_series \
    generate_subscripts grade_up list_append list_apply list_bit_and list_bit_or \
    list_bit_xor list_bool_and list_bool_or list_cat list_concat list_contains list_count \
    list_distinct list_element list_extract list_filter list_first list_grade_up list_has \
    list_has_all list_has_any list_indexof list_intersect list_last list_max list_min \
    list_pack list_position list_prepend list_reduce list_resize list_reverse list_reverse_sort \
    list_select list_slice list_sort list_string_agg list_sum list_transform list_unique list_value \
    list_where list_zip range reduce unnest unpivot_list";

const NESTED: &str = "map map_concat map_contains map_contains_entry map_contains_value map_entries \
    map_extract map_extract_value map_from_entries map_keys map_values row struct_concat \
    struct_contains struct_extract struct_extract_at struct_has struct_indexof struct_insert \
    struct_keys struct_pack struct_position struct_update struct_values union_extract union_tag \
    union_value";

const JSON: &str = "array_to_json json json_array json_array_length \
    json_contains json_exists json_extract json_extract_path json_extract_path_text \
    json_extract_string json_keys json_merge_patch json_object json_pretty json_quote json_structure \
    json_type json_valid json_value row_to_json to_json";

const FLOATS: &str = "/ ** ^ <-> <=> acos acosh array_cosine_distance array_cosine_similarity \
    array_cross_product array_distance array_dot_product array_inner_product \
    array_negative_dot_product array_negative_inner_product asin asinh atan atan2 atanh cbrt cos cosh \
    cot date_part datepart degrees epoch even exp fdiv from_json from_json_strict gamma jaccard jaro_similarity \
    jaro_winkler_similarity json_transform json_transform_strict julian lgamma list_avg list_cosine_distance list_cosine_similarity list_distance \
    list_dot_product list_inner_product list_median list_negative_dot_product \
    list_negative_inner_product ln log \
    log10 log2 nextafter pi pow power radians sin sinh sqrt tan tanh";

const CLOCK: &str = "now get_current_timestamp transaction_timestamp current_localtimestamp \
    current_localtime get_current_time today current_date";

const AGGREGATES: &str = "approx_count_distinct bit_and bit_or bit_xor bitstring_agg bool_and \
    bool_or count count_if count_star countif histogram histogram_exact mad max median min quantile \
    quantile_cont quantile_disc regr_count";

const FLOAT_SUMS: &str = "approx_quantile corr covar_pop covar_samp entropy favg fsum geomean \
    geometric_mean kahan_sum kurtosis kurtosis_pop product regr_avgx regr_avgy regr_intercept regr_r2 \
    regr_slope regr_sxx regr_sxy regr_syy sem skewness stddev stddev_pop stddev_samp sumkahan var_pop \
    var_samp variance wavg weighted_avg";

const ORDERED: &str = "any_value approx_top_k arbitrary arg_max arg_max_null arg_max_nulls_last \
    arg_min arg_min_null arg_min_nulls_last argmax argmin array_agg fill first first_value \
    group_concat json_group_array json_group_object json_group_structure lag last last_value lead \
    list listagg max_by min_by mode nth_value ntile row_number string_agg";
