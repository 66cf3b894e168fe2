// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/diagnose/search.h"

#include "core/base/error.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

namespace bw {
namespace {

/// Shares won back by prefixes of the order and by single suspects, each measured once.
class Measurements {
public:
    Measurements(double whole, const std::function<double(const std::vector<std::size_t>&)>& mended)
        : whole_(whole), mended_(mended) {}
    double share(std::vector<std::size_t> suspects) {
        std::sort(suspects.begin(), suspects.end());
        const auto found = known_.find(suspects);
        if (found != known_.end()) return found->second;
        const double won = 1 - mended_(suspects) / whole_;
        return known_[std::move(suspects)] = won;
    }
    int count() const { return static_cast<int>(known_.size()); }

private:
    double whole_;
    const std::function<double(const std::vector<std::size_t>&)>& mended_;
    std::map<std::vector<std::size_t>, double> known_;
};

std::vector<std::size_t> prefix(const std::vector<std::size_t>& order, std::size_t length) {
    return {order.begin(), order.begin() + static_cast<std::ptrdiff_t>(length)};
}

/// Length of the shortest prefix that explains the share, taking longer ones to explain more; 0: none does.
std::size_t shortestPrefix(const std::vector<std::size_t>& order, double share, Measurements& measured) {
    std::size_t low = 0, high = 1; // low: known not to explain
    while (measured.share(prefix(order, high)) < share) {
        if (high == order.size()) return 0;
        low = high;
        high = std::min(order.size(), high * 2);
    }
    while (high - low > 1) {
        const std::size_t middle = low + (high - low) / 2;
        (measured.share(prefix(order, middle)) < share ? low : high) = middle;
    }
    return high;
}

/// The fewest of the most telling whose shares add up to what is asked for.
std::size_t enough(const std::vector<SearchResult::Suspect>& sorted, double share) {
    double sum = 0;
    for (std::size_t i = 0; i < sorted.size(); ++i)
        if ((sum += sorted[i].alone) >= share) return i + 1;
    return sorted.size();
}

} // namespace

SearchResult findCulprits(const std::vector<std::size_t>& order, double whole,
                          const std::function<double(const std::vector<std::size_t>&)>& mended,
                          const SearchOptions& options) {
    if (order.empty()) throw Error(ErrorCode::usage, "there is no suspect to look at");
    if (!(whole > 0) || !std::isfinite(whole))
        throw Error(ErrorCode::usage, "there is no loss to explain", "The two models give the same predictions.");
    if (!(options.share > 0) || !(options.share < 1))
        throw Error(ErrorCode::usage, "the share of the loss to explain must lie between 0 and 1");
    Measurements measured(whole, mended);
    SearchResult out;
    const std::size_t length = shortestPrefix(order, options.share, measured);
    for (const std::size_t index : prefix(order, length))
        out.culprits.push_back({index, std::numeric_limits<double>::quiet_NaN()});
    if (length > 0) out.explained = measured.share(prefix(order, length));
    if (length > 0 && length <= options.single) {
        for (SearchResult::Suspect& suspect : out.culprits) suspect.alone = measured.share({suspect.index});
        std::stable_sort(out.culprits.begin(), out.culprits.end(),
                         [](const auto& a, const auto& b) { return a.alone > b.alone; });
        if (const std::size_t fewer = enough(out.culprits, options.share); fewer < length) {
            std::vector<std::size_t> some;
            for (std::size_t i = 0; i < fewer; ++i) some.push_back(out.culprits[i].index);
            if (const double share = measured.share(some); share >= options.share) {
                out.culprits.resize(fewer);
                out.explained = share;
            }
        }
    }
    out.measurements = measured.count();
    return out;
}

} // namespace bw
