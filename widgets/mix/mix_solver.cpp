// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/mix/mix_solver.h"

#include "core/assign/explain.h"
#include "core/base/error.h"
#include "widgets/mix/predicted_mix.h"

namespace bw {

MixSolver::MixSolver(QObject* parent) : QObject(parent) { pool_.setMaxThreadCount(1); }

MixSolver::~MixSolver() {
    cancel();
    pool_.waitForDone();
}

void MixSolver::cancel() {
    if (job_) job_->requestStop();
    job_.reset();
}

void MixSolver::start(std::shared_ptr<const AssignProblem> problem, quint64 budgetBytes, std::shared_ptr<const MixPredictor> predictor,
                      std::vector<int> siteChoice) {
    cancel();
    auto job = job_ = std::make_shared<JobContext>();
    pool_.start([this, job, problem = std::move(problem), budgetBytes, predictor = std::move(predictor), siteChoice = std::move(siteChoice)] {
        try {
            AssignSolution solution = solve(*problem, budgetBytes, *job);
            const QString why = QString::fromStdString(budgetText(*problem, solution, budgetBytes, predictor ? "nats" : ""));
            if (predictor) {
                PredictedMix mix(predictor, *problem, siteChoice);
                for (std::size_t i = 0; i < solution.choice.size(); ++i) mix.set(i, solution.choice[i]);
                const Improvement better = improve(*problem, solution.choice, budgetBytes, mix, *job);
                if (better.after < better.before) solution.choice = better.choice;
            }
            QMetaObject::invokeMethod(this, [this, job, budgetBytes, why, solution = std::move(solution)] {
                if (job != job_) return; // a newer question was asked meanwhile
                job_.reset();
                Q_EMIT solved(solution, budgetBytes, why);
            }, Qt::QueuedConnection);
        } catch (const Error& error) {
            if (error.code() == ErrorCode::cancelled) return;
            const QString message = QString::fromStdString(error.oneLine());
            QMetaObject::invokeMethod(this, [this, job, message] {
                if (job != job_) return;
                job_.reset();
                Q_EMIT failed(message);
            }, Qt::QueuedConnection);
        }
    });
}

} // namespace bw
