// Texts of users keep their words, whatever is in them, wherever a backfill puts them: in the statement that is
// parsed, in the batches and in the fill trigger. What is made of the texts has the same words as what is made of
// three names, with those names replaced. Input: a byte of choices, then assignments, condition and lookup table, see
// sql_pieces.hpp.
#include "backfill/batch.hpp"

#include <functional>

#include "backfill/call_text.hpp"
#include "fuzz.hpp"
#include "plan/fill_trigger.hpp"
#include "sql_pieces.hpp"

using namespace migration;
using fuzz::Sql;

namespace {

struct Texts {
  Sql assignments, condition, from;
};

Sql placeholder(const std::string& name) {
  return Sql{name, {Word{true, name}}};
}

const Texts names{placeholder("zz_set"), placeholder("zz_where"), placeholder("zz_from")};

void same_words(const Texts& texts, const std::function<std::string(const Texts&)>& make) {
  std::vector<Word> expected;
  for (const Word& word : words_of(make(names))) {
    const Sql* text = nullptr;
    if (word.text == names.assignments.text) text = &texts.assignments;
    if (word.text == names.condition.text) text = &texts.condition;
    if (word.text == names.from.text) text = &texts.from;
    if (text == nullptr) {
      expected.push_back(word);
    } else {
      expected.insert(expected.end(), text->words.begin(), text->words.end());
    }
  }
  const std::string made = make(texts);
  if (fuzz::same(words_of(made), expected)) return;
  std::fprintf(stderr, "%s\n", made.c_str());
  CHECK(!"the words are others");
}

backfill::Target target_from(const Texts& texts, unsigned choices) {
  backfill::Target target;
  target.deletes = choices & 1;
  target.relation = "public.t";
  if (choices & 2) target.alias = "\"A b\"";
  target.assignments = target.deletes ? "" : texts.assignments.text;
  if (choices & 4) target.condition = texts.condition.text;
  if (choices & 8) target.from = texts.from.text;
  if (choices & 16 && !target.deletes) target.into = "public.other (a, b)";
  target.keeps_present = choices & 32;
  return target;
}

void check_batches(const Texts& texts, unsigned choices) {
  const backfill::Key key = {{"id", "bigint", "<=", "=", ">"},
                             {"\"K\"", "text", choices & 64 ? "<=" : "<<=", "=", ">"}};
  const std::string leaf = "public.leaf";
  using backfill::Target;
  const std::function<std::string(const Target&)> makers[] = {
      [&](const Target& t) { return backfill::block_batch(t, leaf, true); },
      [&](const Target& t) { return backfill::block_rows(t, leaf); },
      [&](const Target& t) { return backfill::row_batch(t, leaf, true); },
      [&](const Target& t) { return backfill::row_batch_telling(t, leaf); },
      [&](const Target& t) { return backfill::key_batch(t, key, false); },
      [&](const Target& t) { return backfill::key_part_batch(t, key, true); },
      [&](const Target& t) { return backfill::key_exact(t, key); },
      [&](const Target& t) { return backfill::sample(t, 10); },
      [&](const Target& t) { return backfill::rows_needing(t, 10); },
      [&](const Target& t) { return backfill::count_needing(t); },
      [&](const Target& t) { return backfill::whole(t, true); },
  };
  for (const auto& make : makers) {
    same_words(texts, [&](const Texts& of) { return make(target_from(of, choices)); });
  }
}

void check_call(const Texts& texts, unsigned choices) {
  const auto call = [&](const Texts& of) {
    BackfillCall out;
    out.relation = "public.t";
    if (!(choices & 1)) out.assignments = of.assignments.text;
    if (choices & 4) out.condition = of.condition.text;
    if (choices & 8) out.from = of.from.text;
    return out;
  };
  same_words(texts, [&](const Texts& of) { return backfill::text_to_parse(call(of)); });
  same_words(texts, [&](const Texts& of) {
    Statement statement;
    statement.backfill = call(of);
    return backfill::one_statement(statement, {"a"});
  });
}

std::vector<PlannedStatement> trigger_of(const Texts& texts, unsigned choices) {
  Step step;
  step.revision = "r1";
  step.kind = StepKind::backfill;
  PlannedStatement planned;
  planned.table = "public.t";
  RowChange change;
  change.relation = "t";
  change.assignments = "c = " + texts.assignments.text;
  change.set_columns = {"c"};
  change.values = {texts.assignments.text};
  change.condition = "c IS NULL AND " + texts.condition.text;
  change.null_tests = {"c"};
  if (choices & 8) change.from = texts.from.text;
  planned.statement.kind = StatementKind::backfill_call;
  planned.statement.change = change;
  planned.statement.backfill = BackfillCall{};
  planned.statement.backfill->trigger = "on";
  if (choices & 16) planned.statement.backfill->verify = "constraint";
  step.statements.push_back(planned);
  Plan plan;
  plan.steps.push_back(step);
  add_fill_triggers(plan);
  CHECK(plan.steps.size() > 2 && !fill_trigger_made_by({plan.steps[0].statements[2].statement.text}).empty());
  return plan.steps[0].statements;
}

/// What a dollar quote at the end of the text holds.
std::string quoted_body(const std::string& text) {
  const std::size_t begin = text.find("\nAS $") + 4;
  const std::string tag = text.substr(begin, text.find('$', begin + 1) + 1 - begin);
  const std::size_t end = text.find(tag, begin + tag.size());
  CHECK(end != std::string::npos && end + tag.size() == text.size());
  return text.substr(begin + tag.size(), end - begin - tag.size());
}

void check_trigger(const Texts& texts, unsigned choices) {
  same_words(texts, [&](const Texts& of) { return trigger_of(of, choices)[0].statement.text; });
  same_words(texts, [&](const Texts& of) { return quoted_body(trigger_of(of, choices)[1].statement.text); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in(data, size);
  const auto choices = static_cast<unsigned>(in.number(1));
  // Texts as the parser hands them on end with a token; what is yet to be parsed may end with a comment.
  const bool remarks = choices & 128;
  Texts texts;
  texts.assignments = fuzz::sql_pieces(in, remarks);
  texts.condition = fuzz::sql_pieces(in, remarks);
  texts.from = fuzz::sql_pieces(in, remarks);
  check_batches(texts, choices);
  check_call(texts, choices);
  if (!remarks) check_trigger(texts, choices);
  return 0;
}
