// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IStudies} from "../interfaces/IStudies.sol";
import {IStudyRegister} from "../interfaces/IStudyRegister.sol";
import {RuleWord} from "./RuleWord.sol";

/// @title StudyWord
/// @notice The layout of what is kept of a study and of a subject's choice about it, one 256-bit word each, and the ids
/// of cohorts and results.
/// @dev A study's bits, from the least significant: researcher 160, firstDay 16, lastDay 16 (days since 1970), end 8
/// (1 stands, 2 closed, 3 approval withdrawn). A choice's bits: sequence 16, in 1, and the times of its last five
/// changes, 40 bits each (seconds since 1970), the latest first.
library StudyWord {
    using RuleWord for uint256;

    uint256 internal constant LAST_SEQUENCE = 0xFFFF;

    uint256 internal constant STANDS = 1;
    uint256 internal constant CLOSED = 2;
    uint256 internal constant WITHDRAWN = 3;

    uint256 private constant MOST_CUSTODIANS = 100;

    uint256 private constant FIRST_DAY = 160;
    uint256 private constant LAST_DAY = 176;
    uint256 private constant END = 192;

    uint256 private constant IN = 1 << 16;
    uint256 private constant TIMES = 17;
    uint256 private constant TIME = 40;
    uint256 private constant TIME_MASK = (1 << TIME) - 1;
    uint256 private constant TIMES_KEPT = 5;

    /* STUDIES */

    function create(IStudyRegister.Study calldata study) internal pure returns (uint256) {
        uint256 period = (uint256(study.firstDay) << FIRST_DAY) | (uint256(study.lastDay) << LAST_DAY);
        return uint160(study.researcher) | period | (STANDS << END);
    }

    function researcher(uint256 word) internal pure returns (address) {
        return address(uint160(word));
    }

    function lastDay(uint256 word) internal pure returns (uint256) {
        return uint16(word >> LAST_DAY);
    }

    function ended(uint256 word, uint256 end) internal pure returns (uint256) {
        return (word & ((1 << END) - 1)) | (end << END);
    }

    /// @dev Reverts unless a request asks for research alone, in full: a subject that signs sees all that is asked.
    function requireResearch(uint256 request) internal pure {
        uint256 purposes = request & RuleWord.PURPOSES;
        bool research = purposes != 0 && purposes & ~RuleWord.RESEARCH_PURPOSES == 0;
        uint256 full = research ? request.complete() : 0;
        if (full == 0 || full != request) revert IStudyRegister.RequestNotResearch(request, full);
    }

    /// @dev Ascending addresses are neither zero nor named twice, and one list makes one study. Whether each is an
    /// active party is asked when it answers.
    function requireCustodians(IStudyRegister.Study calldata study) internal pure {
        address[] calldata custodians = study.custodians;
        if (custodians.length == 0 || custodians.length > MOST_CUSTODIANS) {
            revert IStudyRegister.CustodiansOutOfRange(custodians.length);
        }
        address before = address(0);
        for (uint256 position = 0; position < custodians.length; ++position) {
            if (custodians[position] <= before) revert IStudyRegister.CustodiansUnsorted(position);
            before = custodians[position];
        }
    }

    /// @dev Whether a study names a custodian.
    function names(IStudyRegister.Study calldata study, address custodian) internal pure returns (bool) {
        address[] calldata custodians = study.custodians;
        for (uint256 position = 0; position < custodians.length; ++position) {
            if (custodians[position] == custodian) return true;
        }
        return false;
    }

    /// @dev What a study is on `day` (days since 1970).
    function stateAt(uint256 word, uint256 day) internal pure returns (IStudyRegister.State) {
        if (word == 0) return IStudyRegister.State.Unknown;
        if (word >> END == WITHDRAWN) return IStudyRegister.State.ApprovalWithdrawn;
        if (word >> END == CLOSED) return IStudyRegister.State.Closed;
        if (day < uint16(word >> FIRST_DAY)) return IStudyRegister.State.Planned;
        return day > lastDay(word) ? IStudyRegister.State.Over : IStudyRegister.State.Open;
    }

    /// @dev The EIP-712 hash of a choice to take part: each field of the study's request has its own member.
    function hashOptIn(
        uint256 word,
        bytes32 typeHash,
        bytes32 study,
        uint256 request,
        address subject,
        uint256 sequence_,
        uint256 deadline
    ) internal pure returns (bytes32) {
        bytes memory asked = abi.encode(
            (request & RuleWord.DATA_FROM) >> 45,
            (request & RuleWord.DATA_UNTIL) >> 61,
            (request & RuleWord.PURPOSES) >> 133,
            (request & RuleWord.CLASSES) >> 149,
            (request & RuleWord.CONDITIONS) >> 173,
            (request & RuleWord.SENSITIVITIES) >> 195,
            (request & RuleWord.SETTINGS) >> 219,
            (request & RuleWord.ACTIONS) >> 227,
            request >> 233
        );
        return
            keccak256(
                bytes.concat(
                    abi.encode(typeHash, subject, study, sequence_, researcher(word), lastDay(word)),
                    asked,
                    abi.encode(deadline)
                )
            );
    }

    /* CHOICES */

    function sequence(uint256 choice) internal pure returns (uint256) {
        return uint16(choice);
    }

    function isIn(uint256 choice) internal pure returns (bool) {
        return choice & IN != 0;
    }

    /// @dev The choice made anew at `time`; one that says the same again keeps the times.
    function chosen(uint256 choice, bool in_, uint256 sequence_, uint256 time) internal pure returns (uint256) {
        uint256 times = choice >> TIMES;
        if (in_ != isIn(choice)) times = ((times << TIME) | time) & ((1 << (TIME * TIMES_KEPT)) - 1);
        return (times << TIMES) | (in_ ? IN : 0) | sequence_;
    }

    /// @dev Whether the subject had chosen to take part at `time`. What lies before the changes that are kept counts as
    /// no.
    function wasIn(uint256 choice, uint256 time) internal pure returns (bool in_) {
        in_ = isIn(choice);
        for (uint256 times = choice >> TIMES; times != 0; times >>= TIME) {
            if (times & TIME_MASK <= time) return in_;
            in_ = !in_;
        }
        return false;
    }

    /* IDS */

    function id(IStudies.Cohort calldata cohort) internal pure returns (bytes32) {
        return keccak256(abi.encode(cohort));
    }

    function id(IStudies.Result calldata result) internal pure returns (bytes32) {
        return keccak256(abi.encode(result));
    }
}
