// The state machine of partial molecules in C++: the rules of state.py, steps.py and closing.py, which are the reference
// for it, without their caches. native.py uses it if it is built. Every comment on a rule is in those files.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <stdexcept>
#include <tuple>
#include <vector>

namespace py = pybind11;

namespace {

using Bits = std::uint64_t;

constexpr int kNever = 1 << 30;      // more tokens than any limit
constexpr int kMostSites = 64;       // as _MOST_SITES in steps.py
constexpr int kMostStructures = 256; // as _MOST_STRUCTURES
constexpr int kMostRings = 6;        // as _MOST_RINGS in automaton.py; a plan may open one more
constexpr int kLongestBracket = 24;  // as _LONGEST_BRACKET in part.py
constexpr int kPerRing = 2;          // as _PER_RING in closing.py
constexpr int kAny = 7;              // as ANY in valence.py

enum class At : std::uint8_t { Start, Atom, Branch, Return };

enum Bond : std::uint8_t { NoBond, Single, Double, Triple, Quadruple, Aromatic, Up, Down, kBonds };
constexpr std::array<int, kBonds> kOrder = {1, 1, 2, 3, 4, 1, 1, 1};

bool opens_ring(Bond bond) { return bond != Triple && bond != Quadruple && bond != Aromatic; }
bool is_single(Bond bond) { return bond == Single || bond == Up || bond == Down; }

enum Role : std::uint8_t { NoRole, RoleDouble, RoleSingle, RoleWrong };

// An atom's Kekulé roles with 0, 1, 2 … further bonds, two bits each, the first one lowest.
struct Site {
  std::uint8_t room = 0;
  bool ringed = false;
  std::uint16_t roles = 0;

  bool can_bond(int order) const { return roles ? (roles >> (2 * order)) != 0 : room >= order; }

  Site bonded(int order, bool in_ring = false) const {
    if (roles) return {0, ringed || in_ring, static_cast<std::uint16_t>(roles >> (2 * order))};
    return room == kAny ? *this : Site{static_cast<std::uint8_t>(room - order), false, 0};
  }

  Role role_after(int bonds) const { return static_cast<Role>(roles >> (2 * bonds) & 3); }
  Role role() const { return ringed || !roles ? role_after(0) : RoleWrong; }

  auto key() const { return std::make_tuple(room, ringed, roles); }
  bool operator==(const Site &other) const { return key() == other.key(); }
};

struct Ring {
  std::uint8_t site = 0;
  Bond bond = NoBond;
  std::uint8_t label = 0; // the number that is written; it decides nothing but how the ring is closed

  bool operator==(const Ring &other) const {
    return site == other.site && bond == other.bond && label == other.label;
  }
};

Bits bit(int index) { return Bits{1} << index; }
Bits below(int index) { return index >= 64 ? ~Bits{0} : bit(index) - 1; }
Bits squeezed(Bits bits, int index) { return (bits & below(index)) | (bits >> 1 & ~below(index)); }

template <class T, int N> struct Few {
  std::array<T, N> items{};
  std::uint8_t count = 0;

  Few() = default;
  Few(const Few &other) : count(other.count) { std::copy_n(other.items.begin(), count, items.begin()); }
  Few &operator=(const Few &other) {
    count = other.count;
    std::copy_n(other.items.begin(), count, items.begin());
    return *this;
  }
  T *begin() { return items.data(); }
  T *end() { return items.data() + count; }
  const T *begin() const { return items.data(); }
  const T *end() const { return items.data() + count; }
  T &operator[](int index) { return items[index]; }
  const T &operator[](int index) const { return items[index]; }
  T &back() { return items[count - 1]; }
  const T &back() const { return items[count - 1]; }
  bool empty() const { return count == 0; }
  int size() const { return count; }
  void push(const T &item) {
    if (count == N) throw std::length_error("a partial molecule has more parts than the grammar allows");
    items[count++] = item;
  }
  void drop(int index) {
    std::copy(begin() + index + 1, end(), begin() + index);
    --count;
  }
  bool operator==(const Few &other) const { return std::equal(begin(), end(), other.begin(), other.end()); }
};

struct Partial {
  At at = At::Start;
  Bond bond = NoBond;
  Few<Site, kMostSites> sites;
  Few<std::uint8_t, kMostSites> stack;
  Few<Ring, kMostRings + 1> rings;
  Bits gaps = 0;
  Bits near = 0;
  std::vector<Bits> doubled{0}; // ascending

  int current() const { return sites.size() - 1; }
  bool follows_atom() const { return (at == At::Atom || at == At::Return) && bond == NoBond; }

  bool operator==(const Partial &other) const {
    return at == other.at && bond == other.bond && sites == other.sites && stack == other.stack && rings == other.rings &&
           gaps == other.gaps && near == other.near && doubled == other.doubled;
  }
};

// Steps change a molecule in place. They return false if the step is not allowed; the molecule is unusable then.

bool is_kept(const Partial &p, int index) {
  return std::find(p.stack.begin(), p.stack.end(), index) != p.stack.end() ||
         std::any_of(p.rings.begin(), p.rings.end(), [&](const Ring &ring) { return ring.site == index; });
}

// Adding bits that a number lacks, or removing the same bit from all numbers, keeps them in ascending order.
bool pair_up(Partial &p, int a, int b) {
  const Bits both = bit(a) | bit(b);
  std::vector<Bits> more;
  for (Bits structure : p.doubled)
    if (!(structure & both)) more.push_back(structure | both);
  if (more.empty()) return true;
  std::vector<Bits> all;
  all.reserve(p.doubled.size() + more.size());
  std::set_union(p.doubled.begin(), p.doubled.end(), more.begin(), more.end(), std::back_inserter(all));
  p.doubled.swap(all);
  return p.doubled.size() <= kMostStructures;
}

bool remove_site(Partial &p, int index) {
  const Site &site = p.sites[index];
  if (site.roles) {
    const Role role = site.role();
    if (role == RoleWrong) return false;
    const Bits wanted = role == RoleDouble ? bit(index) : 0;
    std::erase_if(p.doubled, [&](Bits structure) { return (structure & bit(index)) != wanted; });
    if (p.doubled.empty()) return false;
  }
  const bool gap = p.gaps & bit(index), next_gap = index < p.current() && (p.gaps >> (index + 1) & 1);
  p.gaps = squeezed(p.gaps, index);
  if (index < p.current()) p.gaps = (p.gaps & ~bit(index)) | (gap || next_gap ? bit(index) : 0);
  p.sites.drop(index);
  for (auto &root : p.stack) root -= root > index;
  for (auto &ring : p.rings) ring.site -= ring.site > index;
  p.near = squeezed(p.near, index);
  for (auto &structure : p.doubled) structure = squeezed(structure, index);
  return true;
}

bool add_atom(Partial &p, Site atom) {
  if (p.at == At::Start) {
    p = Partial();
    p.at = At::Atom;
    p.sites.push(atom);
    return true;
  }
  const int order = kOrder[p.bond], parent = p.current();
  const Site before = p.sites[parent];
  const bool aromatic = before.roles && atom.roles && (p.bond == NoBond || p.bond == Aromatic);
  if ((p.bond == Aromatic || aromatic) && !(aromatic && !p.rings.empty())) return false;
  if (p.sites.size() == kMostSites || !before.can_bond(order) || !atom.can_bond(order)) return false;
  if (!atom.roles && atom.room == kAny && !p.rings.empty()) atom = Site{static_cast<std::uint8_t>(order), false, 0};
  if (aromatic && !pair_up(p, parent, parent + 1)) return false;
  p.at = At::Atom;
  p.bond = NoBond;
  p.sites[parent] = before.bonded(order, aromatic);
  p.sites.push(atom.bonded(order, aromatic));
  p.gaps = (p.gaps & ~bit(p.current())) | (aromatic ? bit(p.current()) : 0);
  p.near = bit(parent);
  return is_kept(p, parent) || remove_site(p, parent);
}

bool add_bond(Partial &p, Bond bond) {
  if (p.at == At::Start || p.bond != NoBond || !p.sites.back().can_bond(kOrder[bond])) return false;
  if (bond == Aromatic && !p.sites.back().roles) return false;
  p.bond = bond;
  return true;
}

bool open_ring(Partial &p, int label) {
  const int order = kOrder[p.bond];
  if (p.at != At::Atom || !opens_ring(p.bond) || !p.sites.back().can_bond(order)) return false;
  if (p.sites.back().room == kAny) return false;
  p.sites.back() = p.sites.back().bonded(order, true);
  p.rings.push({static_cast<std::uint8_t>(p.current()), p.bond, static_cast<std::uint8_t>(label)});
  p.bond = NoBond;
  return true;
}

// The bond of a ring from the symbols at its two ends; kBonds if they contradict each other.
Bond agreed(Bond opened, Bond closed) {
  if (opened == NoBond || closed == NoBond) return opened == NoBond ? closed : opened;
  return opened == closed || (is_single(opened) && is_single(closed)) ? opened : kBonds;
}

bool gaps_can_close(const Partial &p) {
  if (!p.gaps) return true;
  const int first = std::countr_zero(p.gaps);
  return std::any_of(p.rings.begin(), p.rings.end(), [&](const Ring &ring) { return ring.site < first; });
}

bool close_ring(Partial &p, int number) {
  const Ring ring = p.rings[number];
  const int start = ring.site, end = p.current();
  const Bond bond = agreed(ring.bond, p.bond);
  if (p.at != At::Atom || bond == kBonds || start == end || (p.near & bit(start))) return false;
  const bool both_aromatic = p.sites[start].roles && p.sites[end].roles;
  if (bond == Aromatic && !both_aromatic) return false;
  const int extra = kOrder[bond] - kOrder[ring.bond];
  if (!p.sites[start].can_bond(extra) || !p.sites[end].can_bond(kOrder[bond])) return false;
  p.sites[start] = p.sites[start].bonded(extra, true);
  p.sites[end] = p.sites[end].bonded(kOrder[bond], true);
  p.bond = NoBond;
  p.rings.drop(number);
  p.gaps &= below(start + 1);
  p.near |= bit(start);
  if (both_aromatic && (bond == NoBond || bond == Aromatic) && !pair_up(p, start, end)) return false;
  if (!gaps_can_close(p)) return false;
  return is_kept(p, start) || remove_site(p, start);
}

bool open_branch(Partial &p) {
  if (!p.follows_atom() || !p.sites.back().can_bond(1)) return false;
  p.at = At::Branch;
  p.stack.push(static_cast<std::uint8_t>(p.current()));
  return true;
}

bool close_branch(Partial &p) {
  if (!p.follows_atom() || p.stack.empty()) return false;
  const int root = p.stack.back();
  if (std::any_of(p.rings.begin(), p.rings.end(), [&](const Ring &ring) { return ring.site > root; })) return false;
  if (root + 1 < 64 && p.gaps >> (root + 1)) return false;
  while (p.current() > root)
    if (!remove_site(p, p.current())) return false;
  p.at = At::Return;
  p.stack.drop(p.stack.size() - 1);
  p.near = 0;
  return true;
}

bool is_complete(const Partial &p) {
  if (!p.follows_atom() || !p.stack.empty() || !p.rings.empty()) return false;
  const Site &site = p.sites.back();
  if (!site.roles) return true;
  const Role role = site.role();
  if (role == RoleWrong) return false;
  const Bits wanted = role == RoleDouble ? bit(p.current()) : 0;
  return std::any_of(p.doubled.begin(), p.doubled.end(),
                     [&](Bits structure) { return (structure & bit(p.current())) == wanted; });
}

// The plan of closing.py that finishes a molecule, for one Kekulé structure after the other.
class Plan {
public:
  explicit Plan(const Partial &partial) : p(partial) {
    for (int index = 0; index < p.sites.size(); ++index) {
      const Role role = p.sites[index].role();
      doubles |= role == RoleDouble ? bit(index) : 0;
      singles |= role == RoleSingle ? bit(index) : 0;
      wrongs |= role == RoleWrong ? bit(index) : 0;
    }
  }

  int tokens() {
    int best = kNever;
    for (Bits one : p.doubled) best = std::min(best, tokens_of(one));
    return best;
  }

private:
  int tokens_of(Bits one) {
    structure = one;
    rings = p.rings;
    gaps = p.gaps;
    int total = 0, end = p.current();
    for (int depth = p.stack.size() - 1; depth >= -1; --depth) {
      const int root = depth >= 0 ? p.stack[depth] : -1;
      const int tokens = branch(root, end);
      if (tokens >= kNever) return kNever;
      total += tokens + (root >= 0);
      end = root;
    }
    return total;
  }

  int branch(int root, int end) {
    const Site &site = p.sites[end];
    closed.count = 0;
    int first = kMostSites;
    for (const Ring &ring : rings)
      if (ring.site > root) {
        closed.push(ring);
        first = std::min<int>(first, ring.site);
      }
    const Bits inside = gaps & ~below(root + 1) & below(end + 1);
    const int gap = inside ? std::countr_zero(inside) : -1;
    if (closed.empty() && gap < 0) {
      const int tokens = substituted(site, end);
      if (tokens < kNever) return others_fit(root, end) ? tokens : kNever;
    }
    if (closed.empty() || (gap >= 0 && first >= gap)) {
      const Ring *nearest = nullptr;
      for (const Ring &ring : rings)
        if (ring.site <= root && (!nearest || ring.site > nearest->site)) nearest = &ring;
      if (!nearest) return kNever;
      closed.push(*nearest);
    }
    if (!site.can_bond(1)) return kNever;
    const int extra = first_atoms(site, end);
    if (extra >= kNever) return kNever;
    close();
    return others_fit(root, end) ? extra + kPerRing * closed.size() : kNever;
  }

  int substituted(const Site &site, int end) const {
    if (fits(end, site.role())) return 0;
    if (!site.ringed) return kNever;
    for (int tokens = 1; tokens <= 2; ++tokens) {
      const Role role = site.role_after(tokens);
      if (role == NoRole) return kNever;
      if (fits(end, role)) return tokens;
    }
    return kNever;
  }

  int first_atoms(const Site &site, int end) {
    const bool alone = std::all_of(closed.begin(), closed.end(), [&](const Ring &ring) { return ring.site == end; });
    if (!site.roles) return alone;
    const Role role = site.role_after(1);
    const bool has_double = structure & bit(end);
    if (role == RoleWrong || (role == RoleSingle && has_double)) return kNever;
    if (role == RoleDouble && !has_double) {
      structure |= bit(end);
      return 1;
    }
    if (!site.ringed) return 2;
    return alone;
  }

  void close() {
    int top = kMostSites;
    for (const Ring &ring : closed) {
      rings.drop(static_cast<int>(std::find(rings.begin(), rings.end(), ring) - rings.begin()));
      if (ring.bond == NoBond && p.sites[ring.site].role() == RoleDouble) structure |= bit(ring.site);
      top = std::min<int>(top, ring.site);
    }
    gaps &= below(top + 1);
  }

  bool others_fit(int root, int end) const {
    const Bits others = ~below(root + 1) & below(end);
    return !(wrongs & others) && !((structure ^ doubles) & (doubles | singles) & others);
  }

  bool fits(int index, Role role) const {
    return role == NoRole || (role != RoleWrong && (role == RoleDouble) == bool(structure & bit(index)));
  }

  const Partial &p;
  Bits doubles = 0, singles = 0, wrongs = 0;
  Bits structure = 0, gaps = 0;
  Few<Ring, kMostRings + 1> rings;
  Few<Ring, kMostRings + 2> closed;
};

int plan(const Partial &p) { return Plan(p).tokens(); }

int least_at_end(const Partial &p) {
  int found = plan(p);
  if (p.at != At::Atom) return found;
  for (int number = 0; number < p.rings.size(); ++number) {
    Partial after = p;
    if (close_ring(after, number)) found = std::min(found, 1 + plan(after));
  }
  if (p.sites.back().roles && p.rings.size() <= kMostRings) {
    Partial after = p;
    if (open_ring(after, 0)) found = std::min(found, 1 + plan(after));
  }
  return found;
}

// Numbering of the kinds of tokens that an alphabet can have. A set of them describes a mask.
struct Classes {
  int sites = 0; // the first classes are atoms

  int bond(int index) const { return sites + index - 1; }
  int open_branch() const { return sites + kBonds - 1; }
  int close_branch() const { return open_branch() + 1; }
  int dot() const { return open_branch() + 2; }
  int bracket() const { return open_branch() + 3; }
  int ring(int label) const { return open_branch() + 4 + label; }
  int count() const { return ring(kLabels); }

  static constexpr int kLabels = 100;
};

class Engine {
public:
  // sites: (room, ringed, roles) of every atom; spelled: characters of the shortest bracket atom with it, or kNever.
  Engine(const std::vector<std::tuple<int, bool, int>> &sites, std::vector<int> spelled, const std::vector<int> &fillers,
         const std::vector<int> &labels)
      : spelled_(std::move(spelled)), labels_(labels) {
    for (const auto &[room, ringed, roles] : sites)
      sites_.push_back({static_cast<std::uint8_t>(room), ringed, static_cast<std::uint16_t>(roles)});
    for (int index : fillers) fillers_.push_back(sites_.at(index));
    if (spelled_.size() != sites_.size()) throw std::invalid_argument("one number of characters for each atom");
    classes_.sites = static_cast<int>(sites_.size());
  }

  const Classes &classes() const { return classes_; }

  // The set of classes that may follow with `left` tokens, as bytes.
  py::bytes allowed(const Partial &p, int left) const {
    const auto [tokens, closing, opening] = numbers(p, left - 1);
    std::vector<char> found((classes_.count() + 7) / 8, 0);
    const int limit = left - 1;
    const auto allow = [&](int index) { found[index / 8] |= static_cast<char>(1 << index % 8); };
    int bracket = kNever;
    for (int index = 0; index < static_cast<int>(tokens.size()); ++index) {
      if (tokens[index] >= kNever) continue;
      if (tokens[index] <= limit) allow(index);
      if (index < classes_.sites && spelled_[index] < kNever) bracket = std::min(bracket, tokens[index] + spelled_[index]);
    }
    for (int label : labels_) {
      const auto at = std::find_if(p.rings.begin(), p.rings.end(), [&](const Ring &ring) { return ring.label == label; });
      const int needed = at == p.rings.end() ? opening : closing[at - p.rings.begin()];
      if (needed <= limit) allow(classes_.ring(label));
    }
    if (bracket <= limit) allow(classes_.bracket());
    return py::bytes(found.data(), found.size());
  }

  // For each atom, the number of tokens that finish the molecule after it; kNever if it can't follow.
  std::vector<int> after_atoms(const Partial &p, int left) const {
    auto tokens = std::get<0>(numbers(p, left - 1));
    tokens.resize(classes_.sites);
    return tokens;
  }

  int least(const Partial &p) const {
    if (p.at == At::Start) return 1;
    if (p.follows_atom()) return least_at_end(p);
    int best = kNever;
    for (const Site &filler : fillers_) {
      Partial after = p;
      if (add_atom(after, filler)) best = std::min(best, least_at_end(after));
    }
    if (p.at == At::Atom)
      for (int number = 0; number < p.rings.size(); ++number) {
        Partial after = p;
        if (close_ring(after, number)) best = std::min(best, least_at_end(after));
      }
    return best >= kNever ? kNever : best + 1;
  }

  Partial advance(const Partial &p, int step) const {
    Partial after = p;
    bool done = false;
    if (step >= classes_.ring(0) && step < classes_.count()) {
      const int label = step - classes_.ring(0);
      const auto at = std::find_if(p.rings.begin(), p.rings.end(), [&](const Ring &ring) { return ring.label == label; });
      done = at == p.rings.end() ? p.rings.size() < kMostRings && open_ring(after, label)
                                 : close_ring(after, static_cast<int>(at - p.rings.begin()));
    } else if (step >= 0) {
      done = apply(after, step);
    }
    if (!done) throw std::invalid_argument("the mask does not allow this token");
    return after;
  }

private:
  int enough(const Partial &p) const {
    if (p.follows_atom())
      if (const int found = plan(p); found < kNever) return found;
    return least(p);
  }

  bool apply(Partial &p, int step) const {
    if (step < classes_.sites) return add_atom(p, sites_[step]);
    if (step < classes_.open_branch()) return add_bond(p, static_cast<Bond>(step - classes_.sites + 1));
    if (step == classes_.open_branch()) return open_branch(p);
    if (step == classes_.close_branch()) return close_branch(p);
    if (step != classes_.dot() || !is_complete(p)) return false;
    p = Partial();
    return true;
  }

  // Numbers of tokens that finish the molecule: after atoms, bonds, branches and dots; after each ring that is closed;
  // after a ring that is opened. If many tokens are left, `enough` replaces `least`, as in part.py.
  std::tuple<std::vector<int>, std::array<int, kMostRings + 1>, int> numbers(const Partial &p, int limit) const {
    const int others = classes_.dot() + 1, count = others + p.rings.size() + 1;
    std::vector<int> found(count, kNever);
    std::vector<Partial> after(count);
    int most = 0;
    for (int step = 0; step < count; ++step) {
      Partial &next = after[step];
      next = p;
      const int ring = step - others;
      const bool done = step < others           ? apply(next, step)
                        : ring < p.rings.size() ? close_ring(next, ring)
                                                : p.rings.size() < kMostRings && open_ring(next, 0);
      if (!done) continue;
      found[step] = enough(next);
      if (found[step] < kNever) most = std::max(most, found[step]);
    }
    if (limit < most + kLongestBracket)
      for (int step = 0; step < count; ++step)
        if (found[step] < kNever) found[step] = least(after[step]);
    std::array<int, kMostRings + 1> closing{};
    std::copy_n(found.begin() + others, p.rings.size(), closing.begin());
    const int opening = found.back();
    found.resize(others);
    return {std::move(found), closing, opening};
  }

  std::vector<Site> sites_, fillers_;
  std::vector<int> spelled_, labels_;
  Classes classes_;
};

std::size_t hash_of(const Partial &p) {
  std::size_t found = 1469598103934665603ull;
  const auto add = [&](std::uint64_t value) { found = (found ^ value) * 1099511628211ull; };
  add(static_cast<int>(p.at) * 16 + p.bond);
  for (const Site &site : p.sites) add(site.room | site.ringed << 8 | static_cast<std::uint64_t>(site.roles) << 16);
  for (int root : p.stack) add(root);
  for (const Ring &ring : p.rings) add(ring.site | ring.bond << 8 | ring.label << 16);
  add(p.gaps);
  add(p.near);
  for (Bits structure : p.doubled) add(structure);
  return found;
}

} // namespace

PYBIND11_MODULE(_engine, module) {
  module.doc() = "The state machine of partial molecules; mammal.tasks.grammar.smiles.native uses it.";
  module.attr("NEVER") = kNever;
  py::class_<Partial>(module, "Partial")
      .def(py::init<>())
      .def_static("side_chain", [](int bond, int order) {
        Partial p;
        p.at = At::Branch;
        p.bond = static_cast<Bond>(bond);
        p.sites.push({static_cast<std::uint8_t>(order), false, 0});
        return p;
      })
      .def("is_complete", &is_complete)
      .def("__eq__", [](const Partial &a, const Partial &b) { return a == b; }, py::is_operator())
      .def("__hash__", &hash_of);
  py::class_<Engine>(module, "Engine")
      .def(py::init<const std::vector<std::tuple<int, bool, int>> &, std::vector<int>, const std::vector<int> &,
                    const std::vector<int> &>())
      .def("allowed", &Engine::allowed)
      .def("after_atoms", &Engine::after_atoms)
      .def("least", &Engine::least)
      .def("advance", &Engine::advance)
      .def_property_readonly("count", [](const Engine &engine) { return engine.classes().count(); })
      .def("class_of_bond", [](const Engine &engine, int bond) { return engine.classes().bond(bond); })
      .def("class_of_ring", [](const Engine &engine, int label) { return engine.classes().ring(label); })
      .def_property_readonly("open_branch", [](const Engine &engine) { return engine.classes().open_branch(); })
      .def_property_readonly("close_branch", [](const Engine &engine) { return engine.classes().close_branch(); })
      .def_property_readonly("dot", [](const Engine &engine) { return engine.classes().dot(); })
      .def_property_readonly("bracket", [](const Engine &engine) { return engine.classes().bracket(); });
}
