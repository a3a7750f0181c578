// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRecordPointers} from "../interfaces/IRecordPointers.sol";

/// @title PointerWord
/// @notice The layout of what RecordPointers keeps of a pointer, one 256-bit word, written with one storage write.
/// @dev Bits, from the least significant: custodian 160, data class 8, status 8, version 16, sequence 32.
library PointerWord {
    uint256 private constant DATA_CLASS = 160;
    uint256 private constant STATUS = 168;
    uint256 private constant VERSION = 176;
    uint256 private constant SEQUENCE = 192;

    function pack(
        address custodian,
        uint8 dataClass,
        IRecordPointers.Status status,
        uint16 version,
        uint32 sequence
    ) internal pure returns (uint256) {
        return
            uint160(custodian) |
            (uint256(dataClass) << DATA_CLASS) |
            (uint256(status) << STATUS) |
            (uint256(version) << VERSION) |
            (uint256(sequence) << SEQUENCE);
    }

    function pack(IRecordPointers.Pointer memory pointer) internal pure returns (uint256) {
        return pack(pointer.custodian, pointer.dataClass, pointer.status, pointer.version, pointer.sequence);
    }

    function unpack(uint256 word) internal pure returns (IRecordPointers.Pointer memory) {
        return
            IRecordPointers.Pointer(
                address(uint160(word)),
                uint8(word >> DATA_CLASS),
                IRecordPointers.Status(uint8(word >> STATUS)),
                uint16(word >> VERSION),
                uint32(word >> SEQUENCE)
            );
    }
}
