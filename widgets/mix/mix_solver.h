// SPDX-License-Identifier: GPL-3.0-or-later
// Solves a budget beside the window's thread; only the newest question is answered.
#pragma once

#include "core/assign/solver.h"
#include "core/sensitivity/prediction.h"

#include <QObject>
#include <QThreadPool>
#include <memory>

Q_DECLARE_METATYPE(bw::AssignSolution)

namespace bw {

class MixSolver final : public QObject {
    Q_OBJECT
public:
    explicit MixSolver(QObject* parent = nullptr);
    ~MixSolver() override;
    /// Stops an older question. The answer comes as solved() or failed() through the event loop.
    /// @param predictor of the problem's sites, or null: with it the exact additive optimum is improved on sites that act
    /// together. @param siteChoice the mix as it is, for what the problem does not decide.
    void start(std::shared_ptr<const AssignProblem> problem, quint64 budgetBytes, std::shared_ptr<const MixPredictor> predictor, std::vector<int> siteChoice);
    void cancel();
    bool busy() const { return job_ != nullptr; }

Q_SIGNALS:
    /// @param why the budget is used as far as it is, for people.
    void solved(const bw::AssignSolution& solution, quint64 budgetBytes, const QString& why);
    void failed(const QString& message);

private:
    std::shared_ptr<JobContext> job_;
    QThreadPool pool_; ///< own one: waited for in the destructor
};

} // namespace bw
